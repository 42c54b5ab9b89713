"""`bsky-assets config`: the settings in force."""


def config() -> None:
    """Print every variable, what is in force and what it means; secrets are masked.

    Variables are read from the environment and from `.env` in this folder. Written to a file the
    output is such a `.env`: what is not set or secret stands there as a comment.

    \b
    Example:
      BSKY_SYNC_TIMEZONE=UTC bsky-assets config
    """
    from bsky_assets.commands.variables import print_variables

    print_variables()
