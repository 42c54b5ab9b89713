"""The network's past: the archive that a Jetstream of version 2 keeps and serves.

What belongs here:

- `blocks`, `sealed`: what its bytes say, as Arrow columns;
- `host`, `fetching`: asking it, and having each byte once;
- `dating`, `sheets`, `reading`: when its rows happened, and those of a span of time;
- `taking`, `markers`, `ingest`: rows of the contracts, written as segments;
- `healing`: what it has of the gaps of a day.

What does not: what becomes of its events, which are read as those of a stream are. Blocks come in,
segments go out.

Source: bluesky-social/jetstream at 9a30defd224e (docs/README.md, section 3; specs; lexicons
network.bsky.jetstream.*).
"""
