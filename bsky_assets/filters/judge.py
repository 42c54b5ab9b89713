"""The filters in their order, over one batch of posts.

What belongs here: that only what passed one reaches the next. What does not: which filters there
are (`registry`), days and processes, which are the business of `chain` and `workers`.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import language_model_path, trained_model_path
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.registry import Declaration, Sources, chain, declared
from bsky_assets.filters.trained import TrainedModel, WithModel
from bsky_assets.filters.verdicts import Filter, Verdicts

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

VERDICTS = pa.schema(
    {
        "passed_filters": pa.bool_(),
        "filtered_by_func": pa.string(),
        "filter_reason": pa.string(),
        **{f"is_{one.name}": pa.bool_() for one in declared()},
        "language": pa.string(),
        "language_probability": pa.float64(),
    }
)
"""What the filters say of a post: columns of the contract of filtered posts."""


class FilterFailed(RuntimeError):
    """A filter cannot be made or raised an error; the message names it."""


def sources(settings: "Settings") -> Sources:
    """Where the language model is, the models that the user trained, and which languages count."""
    paths = {one.name: trained_model_path(one.name, settings) for one in declared()}
    return Sources(
        language_model_path(settings),
        {name: path for name, path in paths.items() if path.exists()},
        settings.other_languages,
    )


def make_filter(one: Declaration, sources: Sources) -> Filter:
    """A filter as it is declared, with the model that a user trained for it, if there is one.

    Raises:
        FilterFailed: a word list or model that it needs cannot be used.
    """
    try:
        made, model = one.make(sources), sources.trained.get(one.name)
        if model and one.trained_from:
            made = WithModel(made, TrainedModel(model), one.trained_from)
    except Exception as error:
        raise FilterFailed(f"filter {one.name}: {type(error).__name__}: {error}") from error
    return made


class Judge:
    """The whole chain, made ready once in each process."""

    def __init__(self, sources: Sources) -> None:
        """Make every filter.

        Raises:
            FilterFailed: one of them cannot be made.
        """
        self._filters = [make_filter(one, sources) for one in chain()]
        self._languages = pa.array(sources.languages, pa.string())

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The verdicts (`VERDICTS`) on posts (`posts.INPUTS` and columns of facts).

        Raises:
            FilterFailed: a filter raised an error.
        """
        count = batch.num_rows
        columns: dict[str, pa.Array] = {}
        by, reasons = np.full(count, -1), pa.nulls(count, pa.string())
        posts, rows = Posts(batch), np.arange(count)
        for number, one in enumerate(self._filters):
            verdicts = judged(one, posts)
            passed = np.array(verdicts.passed, dtype=bool)
            verdict = pa.array(passed if one.passes_if else ~passed)
            columns[f"is_{one.name}"] = _spread(verdict, rows, count)
            for name, values in verdicts.columns.items():
                columns[name] = _spread(values, rows, count)
            reasons = pc.coalesce(reasons, _spread(verdicts.reasons, rows, count))
            stopped = rows[~passed]
            by[stopped] = np.where(by[stopped] < 0, number, by[stopped])
            goes_on = self._goes_on(verdicts)
            rows = rows[np.array(goes_on, dtype=bool)]
            posts = posts.where(goes_on)
        names = pa.array([one.name for one in self._filters], pa.string())
        columns["passed_filters"] = pa.array(by < 0)
        columns["filtered_by_func"] = names.take(pa.array(by, mask=by < 0))
        columns["filter_reason"] = reasons
        return pa.RecordBatch.from_arrays(
            [
                columns.get(field.name, pa.nulls(count, field.type)).cast(field.type)
                for field in VERDICTS
            ],
            schema=VERDICTS,
        )

    def _goes_on(self, verdicts: Verdicts) -> pa.BooleanArray:
        """Which posts reach the next filter: what passed, and what was stopped for a language that
        others than llm_labels may ask about."""
        if "language" not in verdicts.columns:
            return verdicts.passed
        other = pc.is_in(verdicts.columns["language"], value_set=self._languages)
        return pc.or_(verdicts.passed, other)


def _spread(values: pa.Array, rows: np.ndarray, count: int) -> pa.Array:
    """`values`, which are those of `rows`, as a column of `count` rows, null in the others."""
    if len(rows) == count:
        return values
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    return values.take(pa.array(places, mask=places < 0))


def judged(one: Filter, posts: Posts) -> Verdicts:
    """The verdicts of one filter.

    Raises:
        FilterFailed: it raised an error.
    """
    try:
        return one.judge(posts)
    except Exception as error:
        raise FilterFailed(f"filter {one.name}: {type(error).__name__}: {error}") from error
