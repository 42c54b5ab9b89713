"""Students in the data directory: one a question, as JSON, with figures and the data's hash."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson

from bsky_assets.analysis.students.training import Figures, Student
from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.settings import Settings
from bsky_assets.storage.files import staged, write_json

POLITICS, IDEOLOGY = "political", "ideology"
"""The questions: whether a post is political, and which way political ones lean."""
_WORDS = "fasttext "
"""Begins what a student read texts by that makes its vectors itself."""


class NoStudent(UserError):
    """No student has been taught, or it is not of use."""


def keep(settings: Settings, question: str, student: Student) -> Path:
    """Put the student in the place of the one there was; returns where it is."""
    target = _path(settings, question)
    stored = {**asdict(student), "weights": student.weights.tolist()}
    words = stored.pop("words")
    if words is None:
        stored["embedding"] = embedder_of(settings).name
    else:
        stored["embedding"] = f"{_WORDS}{hashlib.sha256(words).hexdigest()[:16]}"
        with staged(_words(target, stored["embedding"])) as path:
            path.write_bytes(words)
    write_json(target, stored)
    for old in target.parent.glob(f"{question}-*.bin"):
        if old != _words(target, stored["embedding"]):
            old.unlink(missing_ok=True)
    return target


def load(settings: Settings, question: str) -> Student:
    """The student of `question`.

    Raises:
        NoStudent: there is none, it learnt on other embeddings, or it is of no use.
    """
    path = _path(settings, question)
    try:
        stored = orjson.loads(path.read_bytes())
        of_words = stored["embedding"].startswith(_WORDS)
        words = _words(path, stored["embedding"]).read_bytes() if of_words else None
    except FileNotFoundError:
        raise NoStudent("no student has been taught; run `bsky-assets labels distil`") from None
    if not of_words and stored["embedding"] != embedder_of(settings).name:
        raise NoStudent(f"the student learnt on {stored['embedding']}; teach another one")
    figures = Figures(**stored["figures"])
    if not figures.is_useful:
        raise NoStudent(
            f"the student is no better than the most frequent label ({figures.accuracy:.2f} and "
            f"{figures.majority:.2f} right), and is not used; give it more labels"
        )
    return Student(
        tuple(stored["classes"]),
        np.asarray(stored["weights"]),
        figures,
        stored["learnt_from"],
        stored["data_hash"],
        words,
    )


def _path(settings: Settings, question: str) -> Path:
    return settings.data_dir / "students" / f"{question}.json"


def _words(student: Path, embedding: str) -> Path:
    """Where a student's words are, by their hash, so that they are those of its weights."""
    return student.with_name(f"{student.stem}-{embedding.removeprefix(_WORDS)}.bin")
