"""The filters in their order, over one batch of posts.

What belongs here: which filters there are, and that only what passed one reaches the next. What
does not: days and processes, which are the business of `chain` and `workers`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import (
    FilterConfig,
    FilterName,
    filter_config,
    language_model_path,
    trained_model_path,
)
from bsky_assets.filters.judging.bot import BotFilter
from bsky_assets.filters.judging.english import EnglishFilter
from bsky_assets.filters.judging.hate_speech import HateSpeechFilter
from bsky_assets.filters.judging.nsfw import NsfwFilter
from bsky_assets.filters.judging.spam import SpamFilter
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.trained import TrainedModel, WithModel
from bsky_assets.filters.verdicts import Filter, Verdicts

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

VERDICTS = pa.schema(
    {
        "passed_filters": pa.bool_(),
        "filtered_by_func": pa.string(),
        "filter_reason": pa.string(),
        "is_english": pa.bool_(),
        "is_bot": pa.bool_(),
        "is_nsfw": pa.bool_(),
        "is_spam": pa.bool_(),
        "is_hate_speech": pa.bool_(),
        "language": pa.string(),
        "language_probability": pa.float64(),
    }
)
"""What the filters say of a post: columns of the contract of filtered posts."""


@dataclass(frozen=True)
class Sources:
    """The files outside the package's own lists that filters are made from."""

    language_model: Path
    trained: dict[str, Path]
    """Models that the user trained, by filter."""


@dataclass(frozen=True)
class Link:
    """A link of the chain: a filter's name, and how one is made."""

    name: FilterName
    make: Callable[[FilterConfig, Sources], Filter]


def _with_model(name: str, rules: Filter, config: FilterConfig, sources: Sources) -> Filter:
    if path := sources.trained.get(name):
        return WithModel(rules, TrainedModel(path), getattr(config.models, name))
    return rules


FILTERS: dict[str, Callable[[FilterConfig, Sources], Filter]] = {
    "english": lambda config, sources: EnglishFilter(config.english, sources.language_model),
    "bot": lambda config, sources: BotFilter(),
    "nsfw": lambda config, sources: _with_model("nsfw", NsfwFilter(config.nsfw), config, sources),
    "spam": lambda config, sources: _with_model("spam", SpamFilter(config.spam), config, sources),
    "hate_speech": lambda config, sources: _with_model(
        "hate_speech", HateSpeechFilter(), config, sources
    ),
}
"""How each filter is made."""

CHAIN: tuple[Link, ...] = tuple(Link(name, FILTERS[name]) for name in filter_config().order)
"""The filters in force, in the order of the configuration."""


class FilterFailed(RuntimeError):
    """A filter cannot be made or raised an error; the message names it."""


def sources(settings: "Settings") -> Sources:
    """Where the language model is, and the models that the user trained."""
    paths = {name: trained_model_path(name, settings) for name in FILTERS}
    return Sources(
        language_model_path(settings),
        {name: path for name, path in paths.items() if path.exists()},
    )


def make_filter(link: Link, sources: Sources) -> Filter:
    """The filter of one link.

    Raises:
        FilterFailed: a word list or model that it needs cannot be used.
    """
    try:
        return link.make(filter_config(), sources)
    except Exception as error:
        raise FilterFailed(f"filter {link.name}: {type(error).__name__}: {error}") from error


class Judge:
    """The whole chain, made ready once in each process."""

    def __init__(self, sources: Sources) -> None:
        """Make every filter.

        Raises:
            FilterFailed: one of them cannot be made.
        """
        self._filters = [make_filter(link, sources) for link in CHAIN]

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
            by[rows[~passed]] = number
            rows = rows[passed]
            posts = posts.where(verdicts.passed)
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
