"""Measuring a filter on labelled texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bsky_assets.errors import UserError
from bsky_assets.filters.judge import judged, make_filter, sources
from bsky_assets.filters.measuring.labelled import LabelledTexts
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.measuring.training import trained_on
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.registry import Declaration, declaration, declared
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
    left_out: Mapping[str, int]
    trained_on: bool
    """Whether the model in force was trained on these very texts."""


def measurable(name: str) -> Declaration:
    """The filter of that name.

    Raises:
        CannotEvaluate: there is none, or a text alone says nothing to it.
    """
    one = declaration(name)
    if one and one.judges_text:
        return one
    others = ", ".join(other.name for other in declared() if other.judges_text)
    why = "judges accounts, not texts" if one else "is no filter"
    raise CannotEvaluate(f"{name} {why}; these can be measured on texts: {others}")


def evaluate(name: str, data: LabelledTexts, settings: Settings) -> Evaluation:
    """Ask the filter `name`, as the chain would use it, about every text of `data`.

    Raises:
        CannotEvaluate: there is no such filter, or it does not judge texts.
        FilterFailed: the filter cannot be made or raised an error.
    """
    one = make_filter(measurable(name), sources(settings))
    reasons: list[str | None] = []
    for start in range(0, len(data.texts), _BATCH):
        reasons += judged(one, from_texts(data.texts[start : start + _BATCH])).reasons.to_pylist()
    stopped = [reason is not None for reason in reasons]
    passing = one.passes_if
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
        data.left_out,
        trained_on(name, settings) == data.sha256,
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
