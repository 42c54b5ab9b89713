"""Vectors by an OpenAI-compatible endpoint, `/v1/embeddings`.

Source of the form: OpenAI's API reference, embeddings. What does not belong here: keeping them.
"""

import asyncio
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.endpoint import (
    Busy,
    Declined,
    Endpoint,
    EndpointRefuses,
    EndpointUnreachable,
    Failure,
    Service,
    TooLong,
    Waiting,
)
from bsky_assets.labelling.asking.preflight import identify
from bsky_assets.labelling.asking.questions import normalise, text_hash
from bsky_assets.labelling.embedding.packaged import Vectors, of_length_one
from bsky_assets.labelling.embedding.store import VectorStore
from bsky_assets.settings import Settings

_TEXTS_A_REQUEST = 64
_KEPT_AFTER = 1_024
"""After so many texts their vectors are on disk: who is killed asks no more than these again."""
_AT_ONCE = 4
_SECONDS = 120.0
_LONGEST = 4_000
"""Characters of a text that are sent: models read some hundred tokens of it, and no more."""
_SHORTEST = 100
"""A text that is too long for the server is cut in half, down to this."""


class UnusableEmbeddings(UserError):
    """What the endpoint gives is not a vector for each text."""


class Served:
    """The endpoint and the model of the settings, asked only what is not kept already."""

    def __init__(self, settings: Settings) -> None:
        """Take BSKY_EMBEDDINGS_BASE_URL and BSKY_EMBEDDINGS_MODEL; nothing is asked yet."""
        self._service = Service.of_embeddings(settings)
        self._store = VectorStore(settings.ledger_dir)
        self.model = settings.embeddings_model or ""

    @cached_property
    def digest(self) -> str | None:
        """What identifies the weights, if the server says; if it is away, what it last said.

        Raises:
            EndpointRefuses: it wants another key.
            NoSuchModel: it does not have the model.
        """
        return asyncio.run(self._identify())

    @property
    def name(self) -> str:
        """Name of the model and what identifies its weights."""
        return " ".join(filter(None, (self.model, self.digest)))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`.

        Raises:
            EndpointUnreachable: it is away; what it gave is kept.
            EndpointRefuses: it does not take our key, model or texts.
            UnusableEmbeddings: it gives no vector for each text.
            OtherLength: it gives vectors of another length than before.
        """
        wanted = {text_hash(text): normalise(text) for text in texts}
        wanted = {key: text for key, text in wanted.items() if text}
        known = self._store.known(self.model, self.digest, wanted)
        missing = [key for key in wanted if key not in known]
        for first in range(0, len(missing), _KEPT_AFTER):
            some = missing[first : first + _KEPT_AFTER]
            vectors = asyncio.run(self._ask([wanted[key][:_LONGEST] for key in some]))
            self._store.add(self.model, self.digest, some, vectors)
            known.update(zip(some, vectors, strict=True))
        nought = np.zeros(len(next(iter(known.values()), ())), np.float32)
        rows = [known.get(text_hash(text), nought) for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), len(nought))

    async def _identify(self) -> str | None:
        async with Endpoint(self._service, _AT_ONCE) as endpoint:
            try:
                return (await identify(endpoint, self.model)).model_digest
            except EndpointUnreachable:
                return self._store.last_digest(self.model)

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        groups = [
            texts[first : first + _TEXTS_A_REQUEST]
            for first in range(0, len(texts), _TEXTS_A_REQUEST)
        ]
        async with Endpoint(self._service, _AT_ONCE) as endpoint:
            free = asyncio.Semaphore(_AT_ONCE)

            async def ask(group: Sequence[str]) -> list[list[float]]:
                async with free:
                    return await self._vectors(endpoint, group)

            found = await asyncio.gather(*(ask(group) for group in groups))
        return self._checked([vector for group in found for vector in group])

    async def _vectors(self, endpoint: Endpoint, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of `texts`; a server that is busy is waited for."""
        waiting = Waiting()
        while True:
            try:
                return await endpoint.embed(self.model, texts, asyncio.timeout(_SECONDS))
            except (TooLong, Declined) as failure:
                return await self._vectors_of_less(endpoint, texts, failure)
            except Busy as failure:
                await waiting.for_load(endpoint.host, str(failure))
            except Failure as failure:
                await waiting.for_sign_of_life(endpoint.host, str(failure))

    async def _vectors_of_less(
        self, endpoint: Endpoint, texts: Sequence[str], failure: Failure
    ) -> list[list[float]]:
        """The vectors of `texts` one by one, of a shorter text where it was one already.

        Raises:
            EndpointRefuses: a short text is refused, too.
        """
        if len(texts) > 1:
            return [(await self._vectors(endpoint, [text]))[0] for text in texts]
        (text,) = texts
        if len(text) <= _SHORTEST:
            raise EndpointRefuses(
                f"{endpoint.host} makes no vector of a text ({failure}); check "
                "BSKY_EMBEDDINGS_MODEL: it must be a model for embeddings"
            )
        return await self._vectors(endpoint, [text[: len(text) // 2]])

    def _checked(self, vectors: Sequence[Sequence[float]]) -> Vectors:
        widths = {len(vector) for vector in vectors}
        if len(widths) != 1 or 0 in widths:
            raise self._unusable("vectors of different lengths")
        found = np.asarray(vectors)
        if not (np.abs(found) < np.finfo(np.float32).max).all():
            raise self._unusable("numbers that are none")
        return of_length_one(found)

    def _unusable(self, what: str) -> UnusableEmbeddings:
        return UnusableEmbeddings(
            f"{self.model} gives {what}; set BSKY_EMBEDDINGS_MODEL to a model for embeddings"
        )
