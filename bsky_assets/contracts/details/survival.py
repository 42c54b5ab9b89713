"""What the survival of a day's posts was measured by."""

from bsky_assets.contracts.details.base import Details


class SurvivalDetails(Details):
    """Which archive was compared with, and how much of the day could be."""

    host: str | None = None
    as_of: str | None = None
    """When the oldest part of what was read of the archive was fetched, ISO 8601 in UTC."""
    posts: int = 0
    """Posts that were compared."""
    gone: int = 0
    left_out: int = 0
    """Posts of the stream whose place in an archive is not known: their key's clock is another's
    than their commit's, or has none, or they are older and were replaced."""
    without_verdict: int = 0
    """Posts that were compared and are in no stored `filtered_posts`."""
    problem: str | None = None
    """For a person, why nothing was measured."""
