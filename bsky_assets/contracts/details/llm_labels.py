"""What a day of labels says of itself, and the audit of its filters."""

from typing import Any

from pydantic import Field

from bsky_assets.contracts.details.base import Details, Part


class Company(Part):
    """How many posts of a sample keep their label when they are asked about alone."""

    posts: int
    same: int
    agreement: float = 0.0
    low: float
    """Wilson's interval of the agreement."""
    high: float


class InFlight(Part):
    """The least and the most requests that were under way at a time."""

    lowest: int
    highest: int


class ModelRound(Part):
    """How one model was asked about a day, and what that took."""

    model: str
    model_digest: str | None = None
    parameters: str | None = None
    preflight: dict[str, Any] | None = None
    """What was found of the endpoint (`labelling.preflight.Preflight`); None if it was away."""
    answered_by: tuple[str, ...] = ()
    """Names by which the endpoint says that models answered."""
    notices: tuple[str, ...] = ()
    """What whoever runs the endpoint should know of it."""
    questions: int = 0
    already_known: int = 0
    answered: int = 0
    failed: int = 0
    requests: int = 0
    retries: dict[str, int] = Field(default_factory=dict)
    """By reason."""
    prompt_tokens: int | None = None
    """Of tokens None where the endpoint does not tell them."""
    cached_prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    """In the currency of the prices in the settings; None without prices."""
    latency_seconds: dict[str, float] = Field(default_factory=dict)
    """Percentiles `p50`, `p95`, `p99`; nothing where nothing was asked."""
    seconds: float = 0.0
    questions_per_second: float | None = None
    concurrency: InFlight | None = None


class SampledStratum(Part):
    """What a day's sample was drawn from in one part, and what was found there."""

    stratum: str
    posts: int
    sampled: int
    """Posts drawn by chance; of these a label was asked for."""
    labelled: int = 0
    labels: dict[str, int] = Field(default_factory=dict)
    """Labelled posts by label; of several that one post may have, each by itself."""


class RecordSample(Part):
    """The design of a day's sample: posts were drawn by chance in each stratum, seeded by the day,
    and the others were not asked about."""

    wanted: float
    """A number of posts, or a share of them."""
    student: str | None = None
    """Hash of the student whose scores make the strata; None where sources do."""
    strata: tuple[SampledStratum, ...] = ()


class NewsGiven(Part):
    """Which labels of record were made with news."""

    given: int = 0
    without: dict[str, int] = Field(default_factory=dict)
    """The others, by why."""
    problem: str | None = None
    """For a person, where there was no news for any post."""


class LabelDetails(Details):
    """What models were asked about a day, and what came of it."""

    prompt: str | None = None
    """Name of the prompt."""
    posts: int = 0
    """Posts that passed the filters, whether or not they were drawn for the day's sample."""
    questions: int = 0
    """Different texts among them."""
    labelled: int = 0
    """Posts with a label of the model of record."""
    failed: int = 0
    other_labels: int = 0
    """Labels by other models, prompts and forms of answers."""
    shares: dict[str, float] = Field(default_factory=dict)
    """Of the labelled posts, by label, and `sociopolitical`, all of these together; where they are
    a sample, of all posts that passed, estimated by its design."""
    sample: RecordSample | None = None
    """None where all posts are asked about."""
    news: NewsGiven | None = None
    """None where labels are made without news as the settings say."""
    batch_size: int | None = None
    """Posts that were asked about together, at most."""
    lowered: str | None = None
    """Why these are fewer than the settings say."""
    overruled_by: str | None = None
    """The codebook that let posts be labelled which a filter had stopped."""
    company: Company | None = None
    models: tuple[ModelRound, ...] = ()
    """The model of record first."""

    @property
    def not_asked(self) -> int:
        """Posts that were not drawn for the day's sample; 0 where all are asked about."""
        strata = self.sample.strata if self.sample else ()
        return sum(stratum.posts - stratum.sampled for stratum in strata)


class StudentDetails(Details):
    """Which students scored the posts of a day, or why none did."""

    students: dict[str, str] = Field(default_factory=dict)
    """Hashes of what they learnt from, by question."""
    learnt_from: dict[str, str] = Field(default_factory=dict)
    """Whose labels these were: `model`, or samples that people coded."""
    unused: dict[str, str] = Field(default_factory=dict)
    """By question, why there is no student of it that is of use."""
    scored: int = 0


class ShareDetails(Details):
    """From what the shares of a day were corrected."""

    people_sample: str | None = None
    coded: int = 0
    not_corrected: str | None = None
    """Why no share is corrected; None where one is."""


class AuditDetails(Details):
    """What the audit of the filters asked."""

    model: str | None = None
    model_digest: str | None = None
    asked: int = 0
    requests: int = 0
    audited: dict[str, int] = Field(default_factory=dict)
    """Posts with an answer, by the filter that stopped them."""
