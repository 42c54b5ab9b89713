"""What asking took: requests, tokens and time."""

from collections import Counter
from dataclasses import dataclass, field

from bsky_assets.labelling.asking.endpoint import Reply


@dataclass(slots=True)
class Statistics:
    """What asking took."""

    requests: int = 0
    answered: int = 0
    """Questions with a valid answer."""
    failed: int = 0
    """Questions left with an error."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    """Tokens are null where the server never told them."""
    models: set[str] = field(default_factory=set)
    """The models that answered, as the server says."""
    retries: Counter[str] = field(default_factory=Counter)
    """By reason: requests and posts that had to be asked again."""
    latencies: list[float] = field(default_factory=list)
    one_by_one: bool = False
    """Whether the model could not tell the posts of a request apart, and got each alone."""
    concurrency: tuple[int, int] = (0, 0)
    """The lowest and highest number of requests allowed at once."""
    seconds: float = 0.0

    def plus(self, other: "Statistics") -> "Statistics":
        """What both took together."""
        if not other.requests:
            return self
        if not self.requests:
            return other
        lows, highs = zip(self.concurrency, other.concurrency, strict=True)  # lowest, highest
        return Statistics(
            self.requests + other.requests,
            self.answered + other.answered,
            self.failed + other.failed,
            _sum(self.prompt_tokens, other.prompt_tokens),
            _sum(self.completion_tokens, other.completion_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            self.models | other.models,
            self.retries + other.retries,
            self.latencies + other.latencies,
            self.one_by_one or other.one_by_one,
            (min(lows), max(highs)),
            self.seconds + other.seconds,
        )

    def note(self, reply: Reply) -> None:
        """Count what the server says that a reply took."""
        self.latencies.append(reply.latency_seconds)
        self.prompt_tokens = _sum(self.prompt_tokens, reply.prompt_tokens)
        self.completion_tokens = _sum(self.completion_tokens, reply.completion_tokens)
        self.cached_tokens = _sum(self.cached_tokens, reply.cached_tokens)
        if reply.model:
            self.models.add(reply.model)


def _sum(first: int | None, second: int | None) -> int | None:
    """The sum of what is known."""
    return second if first is None else first + (second or 0)
