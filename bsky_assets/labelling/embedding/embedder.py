"""Which model makes vectors of texts, by the settings, and how it is asked."""

from collections.abc import Sequence
from typing import Protocol

from bsky_assets.labelling.embedding.packaged import Packaged, Vectors
from bsky_assets.labelling.embedding.served import Served
from bsky_assets.settings import Settings


class Embedder(Protocol):
    """A model that makes vectors of texts."""

    @property
    def name(self) -> str:
        """What identifies the model: vectors of two names must not be compared."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of length one for each text, in their order; noughts for an empty text.

        Raises:
            UserError: the model cannot be had, or what it gives is of no use.
        """


def embedder_of(settings: Settings) -> Embedder:
    """The endpoint of BSKY_EMBEDDINGS_BASE_URL; without one, the package of the extra `embeddings`.

    Nothing is asked or loaded before it is used.
    """
    return Served(settings) if settings.embeddings_base_url else Packaged()
