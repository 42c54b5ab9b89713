#!/bin/bash
# What cron runs: `bsky.sh ARGUMENTS` is `bsky-assets ARGUMENTS` with the settings below. A collector
# that still runs is left alone, any other command waits for the one of its name; what it prints goes
# to a log of its own.
set -eu
export BSKY_DATA_DIR="${BSKY_DATA_DIR:-$HOME/bsky/data}"
export BSKY_LAKE_URL="${BSKY_LAKE_URL:-/projects/mygroup/bsky/lake}"
export BSKY_SYNC_TIMEZONE="${BSKY_SYNC_TIMEZONE:-America/Chicago}"
bin="${BSKY_BIN:-$HOME/miniforge3/envs/bsky/bin}"

mkdir -p "$BSKY_DATA_DIR/logs"
exec 9> "$BSKY_DATA_DIR/logs/$1.lock"
if [ "$1" = collect ]; then flock --nonblock 9 || exit 0; else flock 9; fi
exec "$bin/bsky-assets" "$@" >> "$BSKY_DATA_DIR/logs/$1.log" 2>&1
