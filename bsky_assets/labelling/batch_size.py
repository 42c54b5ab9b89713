"""How many posts a request has: as many as are wanted, and fewer where company changes labels.

What company does is measured each day on a sample; a day whose posts surely lose their labels in
company halves the size of the days after it, until the prompt or the model is another.
"""

from dataclasses import dataclass
from datetime import date

from bsky_assets.contracts import Row
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import look_back

LEAST_ALONE = 0.9
"""Share of posts that should have the same label alone; too few if it is surely below this."""


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Posts a request, and why."""

    posts: int
    lowered: str | None = None
    """Why it is less than what was wanted."""


def batch_size_for(lake: Lake, row: type[Row], day: date, wanted: int, prompt: Prompt) -> BatchSize:
    """How many posts a request about `day` has, of `wanted` at most."""
    for earlier in reversed(look_back(day)):
        found = _stored(lake, row, earlier)
        told = found.told(LabelDetails) if found else None
        if told is None or told.prompt_version != prompt.version:
            continue
        size, said = _after(earlier, told)
        if size is not None and size < wanted:
            return BatchSize(size, said)
        return BatchSize(wanted)
    return BatchSize(wanted)


def _after(day: date, told: LabelDetails) -> tuple[int | None, str | None]:
    """The size that a stored day leaves to the next, and why; None where it was not lowered."""
    size, company = told.batch_size, told.company
    if size and company and company.high < LEAST_ALONE:
        half = max(1, size // 2)
        return half, (
            f"on {day} {company.same} of {company.posts} posts kept their label when asked about "
            f"alone, so that now {half} are asked about together"
        )
    return (size, told.lowered) if told.lowered else (None, None)


def _stored(lake: Lake, row: type[Row], day: date) -> Partition | None:
    try:
        return lake.current(row, day)
    except Damaged:
        return None
