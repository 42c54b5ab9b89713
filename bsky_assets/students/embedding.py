"""Texts as vectors, by a package that carries its weights: nothing is downloaded at run time."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsky_assets.errors import UserError

NAME = "wordllama l2_supercat 256"
"""What the vectors are of."""
WIDTH = 256
_TEXTS_AT_ONCE = 20_000


class NoEmbeddings(UserError):
    """The package that makes vectors of texts is not installed."""


def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """A vector of length one for each text (nought for an empty one); `WIDTH` columns.

    Raises:
        NoEmbeddings: the package is not there.
    """
    model = _model()
    found = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        some = [text or " " for text in texts[first : first + _TEXTS_AT_ONCE]]
        vectors = np.nan_to_num(model.embed(some))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        found[first : first + len(some)] = vectors / np.where(lengths > 0, lengths, 1.0)
    return found


@cache
def _model() -> Any:
    try:
        import wordllama
    except ImportError:
        raise NoEmbeddings(
            "a student needs embeddings; install them with `pip install 'bsky_assets[embeddings]'`"
        ) from None
    # The package's own tokenizer is in a folder that it looks into only if it is told so.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
