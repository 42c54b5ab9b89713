"""What a day of filtered posts says of itself."""

from pydantic import Field

from bsky_assets.contracts.details.base import Details, Part


class FilterStep(Part):
    """A filter: how many posts reached it, and what became of them."""

    filter: str
    reached: int
    stopped: int
    passed: int
    reasons: dict[str, int] = Field(default_factory=dict)
    """Posts that it stopped, by reason code, the most frequent first."""


class FilterDetails(Details):
    """The way of a day's posts through the filters."""

    posts: int = 0
    passed: int = 0
    """All filters."""
    funnel: tuple[FilterStep, ...] = ()
    """In the order in which they are asked."""
    languages: dict[str, int] = Field(default_factory=dict)
    """Posts by language (ISO 639-1; `und` where none can be told), the most frequent first."""
