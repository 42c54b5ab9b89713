"""Students in the data directory: one a question, as JSON, with figures and the data's hash."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson

from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.settings import Settings
from bsky_assets.storage.files import write_json
from bsky_assets.students.training import Figures, Student

POLITICS, IDEOLOGY = "political", "ideology"
"""The questions: whether a post is political, and which way political ones lean."""


class NoStudent(UserError):
    """No student has been taught, or it is not of use."""


def keep(settings: Settings, question: str, student: Student) -> Path:
    """Put the student in the place of the one there was; returns where it is."""
    target = _path(settings, question)
    name = embedder_of(settings).name
    stored = {**asdict(student), "weights": student.weights.tolist(), "embedding": name}
    write_json(target, stored)
    return target


def load(settings: Settings, question: str) -> Student:
    """The student of `question`.

    Raises:
        NoStudent: there is none, it learnt on other embeddings, or it is of no use.
    """
    try:
        stored = orjson.loads(_path(settings, question).read_bytes())
    except FileNotFoundError:
        raise NoStudent("no student has been taught; run `bsky-assets labels distil`") from None
    if stored["embedding"] != embedder_of(settings).name:
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
    )


def _path(settings: Settings, question: str) -> Path:
    return settings.data_dir / "students" / f"{question}.json"
