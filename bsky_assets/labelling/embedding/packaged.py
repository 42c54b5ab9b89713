"""Vectors by a package that carries its weights: nothing is downloaded at run time."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsky_assets.errors import UserError

WIDTH = 256
_TEXTS_AT_ONCE = 20_000

Vectors = npt.NDArray[np.float32]


class NoEmbeddings(UserError):
    """There is no endpoint for vectors of texts, and no package that makes them."""


class Packaged:
    """The model in the wheel of wordllama."""

    name = f"wordllama l2_supercat {WIDTH}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`.

        Raises:
            NoEmbeddings: the package is not there.
        """
        model = _model()
        found = np.zeros((len(texts), WIDTH), dtype=np.float32)
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [text or " " for text in texts[first : first + _TEXTS_AT_ONCE]]
            found[first : first + len(some)] = of_length_one(np.nan_to_num(model.embed(some)))
        return found


def of_length_one(vectors: npt.NDArray[Any]) -> Vectors:
    """Each row divided by its length; a row of noughts stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit


@cache
def _model() -> Any:
    try:
        import wordllama
    except ImportError:
        raise NoEmbeddings(
            "vectors of texts need a model: set BSKY_EMBEDDINGS_BASE_URL and "
            "BSKY_EMBEDDINGS_MODEL, or `pip install -c constraints.txt -e '.[embeddings]'`"
        ) from None
    # The package's own tokenizer is in a folder that it looks into only if it is told so.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
