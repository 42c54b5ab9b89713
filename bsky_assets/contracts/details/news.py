"""What a day of news says of itself: how each source was read, and what was left out."""

from pydantic import Field

from bsky_assets.contracts.details.base import Details, Part


class NewsReading(Part):
    """One reading of one source."""

    host: str | None = None
    """Where it is; None for a file."""
    kind: str | None = None
    read_at: str | None = None
    """ISO 8601, in UTC."""
    items: int = 0
    """Articles that it has, with a title and a usable address."""
    added: int = 0
    known: int = 0
    """Of which there is a copy already, by its address."""
    updated: int = 0
    """Of these, how many say something else now; the first words stay."""
    copies: int = 0
    """Near copies of another outlet's article."""
    from_the_future: int = 0
    too_old: int = 0
    of_another_day: int = 0
    """In a file: of other days than this one."""
    pages: int = 0
    """Texts that were taken from the articles' own pages."""
    unusable: int = 0
    """Without a title, or without an address."""
    problem: str | None = None
    """For a person, where it gave nothing or broke off."""


class NewsDetails(Details):
    """The last reading of each source, by name."""

    readings: dict[str, NewsReading] = Field(default_factory=dict)


class EmbeddingDetails(Details):
    """What made the vectors."""

    model: str | None = None
    problem: str | None = None
    """For a person, where there are none."""


class ContextDetails(Details):
    """How the gate judged the day."""

    posts: int = 0
    articles: int = 0
    names: int = 0
    """Names in the news."""
    opened: int = 0
    """Posts that are asked about with an article."""
    if_unclear: int = 0
    largest_distance: float | None = None
    least_margin: float | None = None
    model: str | None = None
    problem: str | None = None
    """For a person, why there is no context."""


class ViewsDetails(Details):
    """What was asked of the day's topics."""

    topics: int = 0
    """Topics that posts are told of."""
    summed_up: int = 0
    """Of these, how many have views; posts of the others are told of the article."""
    requests: int = 0
    """How many it took; none for what the ledger has already."""
    problem: str | None = None
    """For a person, why topics have none."""


class ContextEffectDetails(Details):
    """What was asked without news and with it, and whether it is shown to help."""

    sampled: int = 0
    """Posts of the day."""
    with_news: int = 0
    """Of these, how many are asked about with an article."""
    coded: int = 0
    """Posts coded by people, of any day."""
    is_proven: bool = False
    """Whether labels of these are surely right more often with news."""
    tokens_a_post: tuple[float | None, float | None] = (None, None)
    """Without and with; None where the endpoint does not tell them."""
    seconds_a_post: tuple[float | None, float | None] = (None, None)
