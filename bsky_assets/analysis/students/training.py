"""Training a student, and finding out whether it is any good.

Multinomial logistic regression over embeddings. What it gets right is measured on authors that it
has not seen, and on days that it has not seen where there are several: posts of one author are
alike, and so are those of one day. Its probabilities are calibrated by one temperature, found on
the same unseen authors (Guo et al., On Calibration of Modern Neural Networks, 2017). It is of use
only if it is surely better than to say the most frequent label every time.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

FOLDS = 5
LEAST = 10
"""Examples of a label that it takes."""
_SURE = NormalDist().inv_cdf(0.95)

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int_]
Learn = Callable[[Rows, Rows], tuple[npt.NDArray[np.str_], Floats]]
"""Learns from some examples; the labels that these have, and the logit of each for others."""


class CannotBeTaught(UserError):
    """There are too few labels to learn from, or all are the same."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a student is on what it has not seen."""

    examples: int
    accuracy: float
    """On authors that it has not seen."""
    accuracy_on_days: float | None
    """On days that it has not seen; None of one day alone."""
    majority: float
    """What saying the most frequent label gets right, of the same examples."""
    log_loss: float
    """After calibration, on unseen authors."""
    log_loss_of_shares: float
    """What the shares of the labels get, for comparison."""
    is_useful: bool
    """Whether it is surely (at 5%, on one side) more often right than the most frequent label."""


@dataclass(frozen=True, slots=True)
class Student:
    """A trained classifier: its weights, what it learnt from, and how good it is."""

    classes: tuple[str, ...]
    weights: Floats
    """A row a class; the last column is the intercept."""
    figures: Figures
    learnt_from: str
    """Where its labels are from."""
    data_hash: str
    """Sixteen hex digits of the texts' vectors, or of their words, and labels."""
    words: bytes | None = None
    """What it learnt of words, by which it makes vectors of its own; None: vectors are given."""

    def scores(self, vectors: npt.NDArray[np.float32]) -> Floats:
        """The calibrated probability of each class, a row a text."""
        return np.asarray(softmax(vectors @ self.weights[:, :-1].T + self.weights[:, -1], axis=1))


@dataclass(frozen=True, slots=True)
class Lessons:
    """The examples of the labels that have enough of them."""

    kept: npt.NDArray[np.bool_]
    """Which of those that were given these are."""
    labels: npt.NDArray[np.str_]
    authors: Rows
    """A number for each author."""
    days: Rows
    """A number for each day."""

    @property
    def classes(self) -> npt.NDArray[np.str_]:
        """The labels that there are."""
        return np.unique(self.labels)


def lessons_of(labels: Sequence[str], authors: Sequence[str], days: Sequence[object]) -> Lessons:
    """What can be learnt from.

    Raises:
        CannotBeTaught: fewer than two labels have `LEAST` examples, or there are few authors.
    """
    given = np.asarray(labels)
    names, counts = np.unique(given, return_counts=True)
    kept = np.isin(given, names[counts >= LEAST])
    told = dict(zip(names.tolist(), counts.tolist(), strict=True))
    if len({*given[kept]}) < 2:
        raise CannotBeTaught(
            f"a student takes two labels with {LEAST} examples each, and there are {told}"
        )
    writers = np.unique(np.asarray(authors), return_inverse=True)[1]
    if len({*writers[kept]}) < FOLDS:
        raise CannotBeTaught(f"a student takes posts of {FOLDS} authors at least")
    seen_on = np.unique([str(day) for day in days], return_inverse=True)[1]
    return Lessons(kept, given[kept], writers[kept], seen_on[kept])


def examined(learn: Learn, lessons: Lessons) -> tuple[float, Figures]:
    """The temperature of what learns so, and how good it is at what it has not seen."""
    y, classes = lessons.labels, lessons.classes
    raw = _unseen(learn, y, lessons.authors, classes)
    temperature = _temperature(raw, y, classes)
    on_days = _on_days(learn, y, lessons.days, classes)
    return temperature, _figures(raw / temperature, lessons, on_days)


def teach(
    vectors: npt.NDArray[np.float32],
    labels: Sequence[str],
    authors: Sequence[str],
    days: Sequence[object],
    learnt_from: str,
) -> Student:
    """Train a student on `vectors` and their labels.

    Raises:
        CannotBeTaught: fewer than two labels have `LEAST` examples, or there are few authors.
    """
    lessons = lessons_of(labels, authors, days)
    x, y = vectors[lessons.kept].astype(float), lessons.labels
    temperature, figures = examined(_learner(x, y), lessons)
    data = hashlib.sha256(x.astype(np.float32).tobytes() + "\n".join(y).encode())
    weights = _logits_of(_fitted(x, y)) / temperature
    return Student(
        tuple(lessons.classes.tolist()), weights, figures, learnt_from, data.hexdigest()[:16]
    )


def _learner(x: Floats, y: npt.NDArray[np.str_]) -> Learn:
    def learn(learnt: Rows, held: Rows) -> tuple[npt.NDArray[np.str_], Floats]:
        present = np.unique(y[learnt])
        if len(present) == 1:
            return present, np.zeros((len(held), 1))
        weights = _logits_of(_fitted(x[learnt], y[learnt]))
        return present, x[held] @ weights[:, :-1].T + weights[:, -1]

    return learn


def _fitted(x: Floats, y: npt.NDArray[np.str_]) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression  # which takes a second to import

    return LogisticRegression(C=10.0, max_iter=2000).fit(x, y)


def _logits_of(model: "LogisticRegression") -> Floats:
    """A row of weights for each class; of two classes scikit-learn keeps one row."""
    weights = np.column_stack([model.coef_, model.intercept_])
    return np.vstack([np.zeros_like(weights), weights]) if len(model.classes_) == 2 else weights


def _unseen(
    learn: Learn, y: npt.NDArray[np.str_], groups: Rows, classes: npt.NDArray[np.str_]
) -> Floats:
    """The logits of each example by a student that saw none of its group."""
    from sklearn.model_selection import GroupKFold

    logits = np.full((len(y), len(classes)), -30.0)
    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    for learnt, held in folds.split(y, y, groups):
        present, found = learn(learnt, held)
        logits[np.ix_(held, np.searchsorted(classes, present))] = found
    return logits


def _temperature(logits: Floats, y: npt.NDArray[np.str_], classes: npt.NDArray[np.str_]) -> float:
    found = minimize_scalar(
        lambda log: _log_loss(logits / np.exp(log), y, classes), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


def _log_loss(logits: Floats, y: npt.NDArray[np.str_], classes: npt.NDArray[np.str_]) -> float:
    chosen = softmax(logits, axis=1)[np.arange(len(y)), np.searchsorted(classes, y)]
    return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())


def _on_days(
    learn: Learn, y: npt.NDArray[np.str_], days: Rows, classes: npt.NDArray[np.str_]
) -> float | None:
    if len(np.unique(days)) < 2:
        return None
    return float((classes[_unseen(learn, y, days, classes).argmax(axis=1)] == y).mean())


def _figures(logits: Floats, lessons: Lessons, on_days: float | None) -> Figures:
    y, classes = lessons.labels, lessons.classes
    right = classes[logits.argmax(axis=1)] == y
    shares = np.array([(y == name).mean() for name in classes])
    by_majority = y == classes[shares.argmax()]
    better = right.astype(float) - by_majority
    # Posts of one author are alike: they are right or wrong together.
    by_author = np.bincount(lessons.authors, better - better.mean())
    writers = len(np.unique(lessons.authors))
    error = float(((by_author**2).sum() * writers / (writers - 1)) ** 0.5) / len(y)
    return Figures(
        examples=len(y),
        accuracy=float(right.mean()),
        accuracy_on_days=on_days,
        majority=float(by_majority.mean()),
        log_loss=_log_loss(logits, y, classes),
        log_loss_of_shares=float(-(shares * np.log(shares)).sum()),
        is_useful=bool(better.mean() - _SURE * error > 0),
    )
