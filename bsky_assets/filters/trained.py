"""Classifiers that a user trained, as the chain uses them. `training` makes them."""

from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.posts import Posts
from bsky_assets.filters.verdicts import Filter, Verdicts
from bsky_assets.filters.words.normalise import fold

STOP = "__label__stop"
LET_THROUGH = "__label__pass"


class TrainedModel:
    """A fastText classifier that tells what to stop."""

    def __init__(self, path: Path) -> None:
        """Load the model file.

        Raises:
            ValueError: the file is not a fastText model.
        """
        self._model: Any = fasttext.load_model(str(path))

    def shares(self, texts: pa.StringArray) -> np.ndarray:
        """How likely each text is one to stop, from 0 to 1."""
        found = [self._model.f.predict(f"{line}\n", 2, 0.0, "strict") for line in lines(texts)]
        shares = [next((p for p, label in pairs if label == STOP), 0.0) for pairs in found]
        return np.array(shares, dtype=float)


def lines(texts: pa.StringArray) -> list[str]:
    """Texts as a classifier reads them: folded, punctuation set apart, each on one line."""
    plain = pc.replace_substring_regex(fold(texts), r"https?://\S+", " _link_ ")
    plain = pc.replace_substring_regex(plain, r"@[\w.\-]+", " _name_ ")
    plain = pc.replace_substring_regex(plain, r"[0-9]+", " _number_ ")
    plain = pc.replace_substring_regex(plain, r"([!?.,;:()\"/&$£€#*])", r" \1 ")
    return [" ".join(text.split()) for text in plain.to_pylist()]


class WithModel:
    """A filter, and a trained model that judges what the filter's rules let through."""

    def __init__(self, rules: Filter, model: TrainedModel, threshold: float) -> None:
        self.name, self.passes_if = rules.name, rules.passes_if
        self._rules, self._model, self._threshold = rules, model, threshold

    def judge(self, posts: Posts) -> Verdicts:
        """The verdict of the rules, and where they find nothing, that of the model."""
        verdicts = self._rules.judge(posts)
        left = np.flatnonzero(verdicts.passed.to_numpy(zero_copy_only=False))
        shares = self._model.shares(posts.text.take(pa.array(left)))
        reasons: list[str | None] = [None] * len(posts)
        for place, share in zip(left.tolist(), shares.tolist(), strict=True):
            if share >= self._threshold:
                reasons[place] = f"model:{self.name} p={share:.2f}"
        return Verdicts(
            pc.coalesce(verdicts.reasons, pa.array(reasons, pa.string())),
            verdicts.columns,
        )
