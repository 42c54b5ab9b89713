"""`python -m bsky_assets`: the command line."""

from bsky_assets.cli import main

main()
