"""Training a classifier for a filter on a user's labelled texts.

The classifier is fastText's, over words and pairs of words. How good it is, is measured by
cross-validation before the model that the chain will use is fitted on everything.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import fasttext
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import StratifiedKFold

from bsky_assets.contracts import FilteredPost
from bsky_assets.errors import UserError
from bsky_assets.filters.config import language_model_path, trained_model_path
from bsky_assets.filters.judge import judged, make_filter
from bsky_assets.filters.measuring.canaries import check_texts
from bsky_assets.filters.measuring.labelled import LabelledTexts
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.posts import Posts, inputs
from bsky_assets.filters.registry import Declaration, Sources, declaration, declared
from bsky_assets.filters.trained import LET_THROUGH, STOP, lines
from bsky_assets.filters.verdicts import Filter
from bsky_assets.settings import Settings
from bsky_assets.storage.files import staged, write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.row_groups import ROW_GROUP_ROWS
from bsky_assets.sync_day import now

_EVEN_THRESHOLD = 0.5
_FOLDS = 5
MOST_STOPPED = 0.01
"""The share of a stored day's passed posts that a model may stop without being insisted on."""
_SHOWN = 10
"""Examples of what would change."""
_REPORT = "report.json"
_LEAST_OF_EACH = 20
_FASTTEXT = {"lr": 0.5, "epoch": 15, "wordNgrams": 2, "dim": 20, "bucket": 200_000, "minn": 0}
_THREADS = 10
"""fastText 0.9.3 fills only as many tenths of its first matrix as it has threads, and with fewer
than ten it meets what was in memory before."""


class CannotTrain(UserError):
    """The labelled texts do not suffice."""


@dataclass(frozen=True)
class Effect:
    """What a new model would change on a stored day."""

    day: date
    passed: int
    """Posts that the filters let through that day."""
    stopped: int
    """How many of them the model would stop."""
    examples: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        """The numbers, without anybody's words."""
        return {"day": self.day.isoformat(), "passed": self.passed, "stopped": self.stopped}


@dataclass(frozen=True)
class TrainingReport:
    """What a trained model was made from and how good it is."""

    filter: str
    model: Path
    data: str
    data_sha256: str
    labels: dict[str, int]
    stop_labels: tuple[str, ...]
    measured: dict[str, Confusion]
    """Cross-validated: by what was measured, at the even threshold and at the chain's."""
    left_out: dict[str, int]
    effect: "Effect | None"
    """What it would have changed on the last stored day; null where no day is stored."""
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The report as it is stored beside the model."""
        return {
            "filter": self.filter,
            "trained_at": now().isoformat(),
            "data": self.data,
            "data_sha256": self.data_sha256,
            "labels": self.labels,
            "stop_labels": list(self.stop_labels),
            "folds": _FOLDS,
            "cross_validated": {name: one.figures() for name, one in self.measured.items()},
            "rows_left_out": self.left_out,
            "effect": None if self.effect is None else self.effect.figures(),
            "fasttext": _FASTTEXT,
            "seconds": round(self.seconds, 1),
        }


def train(
    name: str, data: LabelledTexts, settings: Settings, *, insist: bool = False
) -> TrainingReport:
    """Fit a classifier for the filter `name`, measure it, and put it where the chain finds it.

    It is put in force only if every canary of the filter says with it what it said before, and if
    it stops few of the posts that passed on the last stored day, unless that is insisted on.

    Raises:
        CannotTrain: the filter takes no model, there are too few texts of a kind, a canary flips,
            or the model stops more than `MOST_STOPPED` of that day's posts.
        UnusableDataDirectory: the model cannot be written.
    """
    one = trainable(name)
    stop = np.array(data.stop, dtype=bool)
    if min(stop.sum(), (~stop).sum()) < _LEAST_OF_EACH:
        raise CannotTrain(
            f"{data.name} has {stop.sum()} texts to stop and {(~stop).sum()} to let through; "
            f"{_LEAST_OF_EACH} of each are the least"
        )
    began = monotonic()
    texts = lines(pa.array(data.texts, pa.string()))
    measured = _measured(one, texts, stop, data)
    path = trained_model_path(name, settings)
    with staged(path) as fresh:
        _fit(texts, stop).save_model(str(fresh))
        with_model = make_filter(one, Sources(language_model_path(settings), {name: fresh}))
        if flipped := check_texts(one, with_model):
            raise CannotTrain(
                f"with the model that {data.name} makes, {len(flipped)} canaries of {name} flip, "
                f"so that it is not put in force: {'; '.join(map(str, flipped[:_SHOWN]))}"
            )
        effect = _effect(with_model, settings)
        if effect and not insist:
            _require_few(effect, data.name)
    report = TrainingReport(
        name,
        path,
        data.name,
        data.sha256,
        dict(Counter(data.labels)),
        data.stop_labels,
        measured,
        dict(data.left_out),
        effect,
        monotonic() - began,
    )
    write_json(path.with_name(_REPORT), report.as_json())
    return report


def trainable(name: str) -> Declaration:
    """The filter of that name, which takes a trained model.

    Raises:
        CannotTrain: it takes none, or there is no such filter.
    """
    one = declaration(name)
    if one is None or one.trained_from is None:
        others = ", ".join(other.name for other in declared() if other.trained_from)
        raise CannotTrain(f"{name} takes no trained model; those that do: {others}")
    return one


def trained_on(name: str, settings: Settings) -> str | None:
    """The SHA-256 of the data that the model in force was trained on, if there is one."""
    try:
        stored = trained_model_path(name, settings).with_name(_REPORT).read_bytes()
    except OSError:
        return None
    return str(orjson.loads(stored)["data_sha256"])


def _require_few(effect: Effect, data: str) -> None:
    if effect.stopped > MOST_STOPPED * effect.passed:
        examples = "; ".join(repr(text) for text in effect.examples)
        raise CannotTrain(
            f"the model that {data} makes would stop {effect.stopped:,} more of the "
            f"{effect.passed:,} posts that passed on {effect.day}, over {MOST_STOPPED:.0%}, "
            "so that it is not put in force; if that is right, say --insist. Some are: " + examples
        )


def _effect(with_model: Filter, settings: Settings) -> Effect | None:
    """What a filter would stop of the posts that passed on the last stored day."""
    lake = Lake.of(settings)
    partition = next(reversed(lake.partitions(FilteredPost)), None)
    if partition is None:
        return None
    passed, stopped, examples = 0, 0, list[str]()
    for batch in partition.batches(ROW_GROUP_ROWS):
        let_through = batch.filter(batch.column("passed_filters"))
        found = judged(with_model, Posts(inputs(let_through))).passed
        hit = let_through.filter(pc.invert(found))
        passed, stopped = passed + let_through.num_rows, stopped + hit.num_rows
        texts = pc.struct_field(hit.column("record"), "text").slice(0, _SHOWN - len(examples))
        examples += texts.to_pylist()
    return Effect(partition.day, passed, stopped, tuple(examples))


def _measured(
    one: Declaration, texts: list[str], stop: np.ndarray, data: LabelledTexts
) -> dict[str, Confusion]:
    """Confusions at both thresholds; of several labels to stop, the rarest alone as well."""
    shares = _cross_validated(texts, stop)
    measured = {
        f"at {level}": Confusion.count(stop.tolist(), (shares >= level).tolist())
        for level in (_EVEN_THRESHOLD, one.trained_from)
        if level is not None
    }
    if len(data.stop_labels) > 1:
        rarest = min(data.stop_labels, key=data.labels.count)
        alone = np.array([label == rarest for label in data.labels], dtype=bool)
        if alone.sum() >= _LEAST_OF_EACH:
            found = _cross_validated(texts, alone) >= _EVEN_THRESHOLD
            measured[f"{rarest} alone, at {_EVEN_THRESHOLD}"] = Confusion.count(
                alone.tolist(), found.tolist()
            )
    return measured


def _cross_validated(texts: list[str], stop: np.ndarray) -> np.ndarray:
    """How likely each text is one to stop, by a model that has not seen it."""
    shares = np.zeros(len(texts))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    for seen, unseen in folds.split(texts, stop):
        model = _fit([texts[place] for place in seen], stop[seen])
        for place in unseen:
            found = model.f.predict(f"{texts[place]}\n", 2, 0.0, "strict")
            shares[place] = next((share for share, label in found if label == STOP), 0.0)
    return shares


def _fit(texts: Sequence[str], stop: np.ndarray) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder, "texts")
        path.write_text(
            "".join(
                f"{STOP if should else LET_THROUGH} {text}\n"
                for text, should in zip(texts, stop, strict=True)
            )
        )
        return fasttext.train_supervised(str(path), thread=_THREADS, verbose=0, **_FASTTEXT)
