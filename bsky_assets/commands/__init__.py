"""Groups of commands, one module each; `bsky_assets.cli` puts them together."""
