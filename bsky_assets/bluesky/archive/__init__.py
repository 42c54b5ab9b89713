"""The network's past: the archive that a Jetstream of version 2 keeps and serves.

- `blocks`, `sealed`: what its bytes say, as Arrow columns.

Source: bluesky-social/jetstream at 9a30defd224e (docs/README.md, section 3; specs; lexicons
network.bsky.jetstream.*).
"""
