"""The commands, a file each; `bsky_assets.cli` puts them together.

What belongs here: what a command takes, prints and returns. What does not: doing it, which the
rooms below do. Words of a command line come in, lines for a person go out.
"""
