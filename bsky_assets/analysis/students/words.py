"""The cheap student: fastText's own classifier, which needs no vectors of texts from elsewhere.

It learns a vector for each word and pair of words, and is linear in their mean (Joulin, Grave,
Bojanowski & Mikolov, Bag of Tricks for Efficient Text Classification, 2017). So it is kept like any
other student, with the vectors beside; what it gets right is measured by models that learnt neither
words nor weights from the authors that they are asked about. What is kept has hashes in the place
of words, since it outlives posts that are deleted.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bsky_assets.analysis.students.training import (
    CannotBeTaught,
    Learn,
    Rows,
    Student,
    examined,
    lessons_of,
)
from bsky_assets.filters.trained import lines
from bsky_assets.labelling.embedding.packaged import Vectors

_HOW: dict[str, Any] = {
    "dim": 32, "epoch": 15, "lr": 0.5, "wordNgrams": 2, "bucket": 50_000, "loss": "softmax",
    "thread": 10, "verbose": 0,
}  # fmt: skip
"""fastText 0.9.3 fills only as many tenths of its vectors as it has threads, and begins with what
was in memory in the others. Ten threads do not learn the same on every run."""
_LABEL = "__label__"


def teach_words(
    texts: Sequence[str],
    labels: Sequence[str],
    authors: Sequence[str],
    days: Sequence[object],
    learnt_from: str,
) -> Student:
    """Train a student on `texts` and their labels.

    Raises:
        CannotBeTaught: fewer than two labels have enough examples, or there are few authors.
    """
    lessons = lessons_of(labels, authors, days)
    read = np.asarray(_read(texts), dtype=object)[lessons.kept]
    temperature, figures = examined(_learner(read, lessons.labels), lessons)
    model = _fitted(read, lessons.labels)
    weights = _weights(model, lessons.classes) / temperature
    data = hashlib.sha256("\n".join([*read, *lessons.labels]).encode()).hexdigest()[:16]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "words.bin"
        model.save_model(str(path))
        words = path.read_bytes()
    return Student(
        tuple(lessons.classes.tolist()),
        np.column_stack([weights, np.zeros(len(weights))]),
        figures,
        learnt_from,
        data,
        words,
    )


def vectors_of(words: bytes, texts: Sequence[str]) -> Vectors:
    """The mean of what a student learnt of the words of each text."""
    return _means(_loaded(words), _read(texts))


def _read(texts: Sequence[str]) -> list[str]:
    """Texts as the filters' classifiers read them, each word by its hash."""
    plain = lines(pa.array([*texts], pa.string()))
    return [" ".join(map(_hash, text.split())) for text in plain]


@lru_cache(maxsize=100_000)
def _hash(word: str) -> str:
    return hashlib.blake2b(word.encode(errors="replace"), digest_size=5).hexdigest()


@lru_cache(maxsize=2)
def _loaded(words: bytes) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "words.bin"
        path.write_bytes(words)
        return fasttext.load_model(str(path))


def _learner(read: npt.NDArray[np.object_], labels: npt.NDArray[np.str_]) -> Learn:
    def learn(learnt: Rows, held: Rows) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
        present = np.unique(labels[learnt])
        model = _fitted(read[learnt], labels[learnt])
        return present, _means(model, read[held]) @ _weights(model, present).T

    return learn


def _fitted(read: Iterable[str], labels: Iterable[str]) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lessons.txt"
        told = (f"{_LABEL}{label} {text}\n" for label, text in zip(labels, read, strict=True))
        path.write_text("".join(told), "utf-8")
        try:
            return fasttext.train_supervised(str(path), **_HOW)
        except RuntimeError:  # "Encountered NaN."
            raise CannotBeTaught("fastText learns nothing from these texts") from None


def _weights(model: Any, classes: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    """What it multiplies means by, a row a class."""
    order = [model.get_labels().index(f"{_LABEL}{name}") for name in classes]
    return np.asarray(model.get_output_matrix(), dtype=np.float64)[order]


def _means(model: Any, read: Sequence[str] | npt.NDArray[np.object_]) -> Vectors:
    found = np.zeros((len(read), model.get_dimension()), dtype=np.float32)
    for number, text in enumerate(read):
        found[number] = model.get_sentence_vector(text)
    return found
