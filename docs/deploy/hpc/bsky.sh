#!/bin/bash
# What cron runs: `bsky.sh ARGUMENTS` is `bsky-assets ARGUMENTS` with the settings below. A command
# that still runs is not started a second time; what it prints goes to a log of its own.
set -eu
export BSKY_DATA_DIR="${BSKY_DATA_DIR:-$HOME/bsky/data}"
export BSKY_LAKE_URL="${BSKY_LAKE_URL:-/projects/mygroup/bsky/lake}"
export BSKY_SYNC_TIMEZONE="${BSKY_SYNC_TIMEZONE:-America/Chicago}"
bin="${BSKY_BIN:-$HOME/miniforge3/envs/bsky/bin}"

mkdir -p "$BSKY_DATA_DIR/logs"
exec 9> "$BSKY_DATA_DIR/logs/$1.lock"
flock --nonblock 9 || exit 0
exec "$bin/bsky-assets" "$@" >> "$BSKY_DATA_DIR/logs/$1.log" 2>&1
