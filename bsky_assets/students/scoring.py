"""What a student says of stored posts, so that a model's labels can be told apart by it."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.settings import Settings
from bsky_assets.students.kept import POLITICS, NoStudent, load
from bsky_assets.students.lessons import texts_of

BINS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where probabilities are cut, to make groups that have much the same truth."""


def political_groups(settings: Settings, days: Sequence[date], sample: str) -> pd.Series:
    """Into which group of probabilities the student puts each post, by URI.

    Raises:
        NoStudent: there is none, it is of no use, or it learnt from people's labels of `sample`,
            which it would then be judged by.
    """
    student = load(settings, POLITICS)
    if sample in student.learnt_from.split(", "):
        raise NoStudent(
            f"the student learnt from {sample}, by which the estimate is corrected; teach one "
            "from the model's labels: `bsky-assets labels distil`"
        )
    posts = texts_of(settings, days)
    vectors = embedder_of(settings).embed(posts["text"].tolist())
    scores = student.scores(vectors)[:, student.classes.index("True")]
    return pd.Series(np.digitize(scores, BINS), index=posts["uri"])
