"""The network's past: the archive that a Jetstream of version 2 keeps and serves.

What belongs here: what its bytes say, as Arrow columns (`blocks`, `sealed`). What does not: what
becomes of its events, which are read as those of a stream are. Blocks come in, columns go out.

Source: bluesky-social/jetstream at 9a30defd224e (docs/README.md, section 3; specs; lexicons
network.bsky.jetstream.*).
"""
