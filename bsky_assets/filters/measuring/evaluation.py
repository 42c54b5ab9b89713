"""Measuring a filter on labelled texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from bsky_assets.errors import UserError
from bsky_assets.filters.judge import FILTERS, Link, judged, make_filter, sources
from bsky_assets.filters.measuring.labelled import LabelledTexts
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.posts import from_texts
from bsky_assets.settings import Settings

_BATCH = 8_192


class CannotEvaluate(UserError):
    """A filter cannot be measured on texts."""


@dataclass(frozen=True)
class Mistake:
    """A text that the filter judged wrongly."""

    text: str
    label: str
    reason: str | None
    """Why it was stopped; null if it passed."""


@dataclass(frozen=True)
class Evaluation:
    """How a filter did on labelled texts."""

    filter: str
    data: str
    positive: str
    """What counts as positive: what should be stopped; for `english`, what is English."""
    overall: Confusion
    groups: dict[str, dict[str, Confusion]]
    """By column, then by group in it, in the order of the file."""
    mistakes: tuple[Mistake, ...]


def evaluate(name: str, data: LabelledTexts, settings: Settings) -> Evaluation:
    """Ask the filter `name`, as the chain would use it, about every text of `data`.

    Raises:
        CannotEvaluate: there is no such filter, or it does not judge texts.
        FilterFailed: the filter cannot be made or raised an error.
    """
    if name not in FILTERS or name == "bot":
        raise CannotEvaluate(
            f"{name} cannot be measured on texts; these can: "
            + ", ".join(one for one in FILTERS if one != "bot")
        )
    one = make_filter(Link(name, FILTERS[name]), sources(settings))  # type: ignore[arg-type]  # a key of FILTERS
    reasons: list[str | None] = []
    for start in range(0, len(data.texts), _BATCH):
        reasons += judged(one, from_texts(data.texts[start : start + _BATCH])).reasons.to_pylist()
    stopped = [reason is not None for reason in reasons]
    passing = name == "english"
    expected = [should != passing for should in data.stop]
    found = [did != passing for did in stopped]
    labels = {"label": data.labels, **data.groups}
    return Evaluation(
        name,
        data.name,
        "English" if passing else "to stop",
        Confusion.count(expected, found),
        {column: _by_group(values, expected, found) for column, values in labels.items()},
        tuple(
            Mistake(text, label, reason)
            for text, label, should, reason in zip(
                data.texts, data.labels, data.stop, reasons, strict=True
            )
            if should != (reason is not None)
        ),
    )


def _by_group(
    values: Sequence[str], expected: Sequence[bool], found: Sequence[bool]
) -> dict[str, Confusion]:
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return {
        value: Confusion.count([expected[p] for p in chosen], [found[p] for p in chosen])
        for value, chosen in places.items()
    }
