"""Vectors by an endpoint: one for each text, asked for once, and refused where they are no use."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from aiohttp import web

from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.embedder import Embedder, embedder_of
from bsky_assets.labelling.embedding.store import VectorStore
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import forget
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer

TEXTS = ["The senate votes on the budget", "The budget vote in the senate", "Roses in my garden"]


class FakeEmbeddings:
    """Counts the texts that it is asked about; what it answers with can be changed."""

    def __init__(self, width: int = 8, longest: int = 10_000) -> None:
        self.width, self.longest = width, longest
        self.asked: Counter[str] = Counter()
        self.answers = self.by_length

    def by_length(self, texts: list[str]) -> list[Any]:
        return [
            {"index": place, "embedding": [float(len(text) + n) for n in range(self.width)]}
            for place, text in enumerate(texts)
        ]

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/v1/embeddings", self._embed), web.get("/v1/models", _models)])
        return app

    async def _embed(self, request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        if sum(map(len, texts)) > self.longest:
            error = {"message": "input exceeds the context length", "type": "x"}
            return web.json_response({"error": error}, status=400)
        self.asked.update(texts)
        return web.json_response({"object": "list", "model": "e", "data": self.answers(texts)})


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "e", "object": "model"}]})


def embedder(folder: Path, url: str) -> Embedder:
    return embedder_of(
        Settings(
            _env_file=None,
            data_dir=folder,
            embeddings_base_url=f"{url}/v1",
            embeddings_model="e",
        )
    )


@contextmanager
def serving(fake: FakeEmbeddings, folder: Path) -> Iterator[Embedder]:
    with served(fake.app()) as url:
        yield embedder(folder, url)


def test_the_sandbox_puts_texts_with_the_same_words_near_each_other(tmp_path: Path) -> None:
    with served(LlmServer(()).app()) as url:
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            embeddings_base_url=f"{url}/v1",
            embeddings_model="sandbox",
        )
        vectors = embedder_of(settings).embed([*TEXTS, ""])
    assert np.linalg.norm(vectors[:3], axis=1) == pytest.approx(1)
    assert not vectors[3].any()
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.6 > 0.3 > far


def test_no_text_goes_to_a_model_twice_and_each_gets_its_own_vector(tmp_path: Path) -> None:
    fake = FakeEmbeddings()
    texts = [f"{'x' * (n % 97)} {n}" for n in range(300)]
    with serving(fake, tmp_path) as some:
        first = some.embed([*texts, *texts[:5]])
        again = some.embed(texts[::-1])
    assert set(fake.asked.values()) == {1}
    assert (again[::-1] == first[:300]).all()
    assert (first[300:] == first[:5]).all()
    for text, vector in zip(texts, first, strict=False):
        numbers = [len(text.strip()) + n for n in range(fake.width)]
        assert vector == pytest.approx(np.array(numbers) / math.hypot(*numbers), abs=1e-6)
    # The endpoint is gone: what is known needs none.
    assert (embedder(tmp_path, "http://127.0.0.1:9").embed(texts) == first[:300]).all()
    with pytest.raises(UserError, match="run again later"):
        embedder(tmp_path, "http://127.0.0.1:9").embed(["unknown"])


def test_vectors_of_another_length_than_those_kept_are_refused(tmp_path: Path) -> None:
    fake = FakeEmbeddings(width=8)
    with serving(fake, tmp_path) as some:
        some.embed(["one"])
        fake.width = 9
        with pytest.raises(UserError, match=r"of 9 numbers, and of 8 before") as told:
            some.embed(["one", "two"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([], "no vector for each text"),
        ([{"index": 1, "embedding": [1.0]}, {"index": 1, "embedding": [2.0]}], "no vector"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}], "lengths"),
        ([{"index": 0, "embedding": []}, {"index": 1, "embedding": []}], "lengths"),
        ([{"index": 0, "embedding": [1e99]}, {"index": 1, "embedding": [1]}], "numbers"),
        ([{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": [1]}], "no vector"),
    ],
)
def test_what_is_no_vector_for_each_text_is_refused_in_one_line(
    tmp_path: Path, answers: list[Any], says: str
) -> None:
    fake = FakeEmbeddings()
    fake.answers = lambda _texts: answers
    with serving(fake, tmp_path) as some, pytest.raises(UserError, match=says) as told:
        some.embed(["one", "two"])
    assert "\n" not in str(told.value)
    assert VectorStore(tmp_path / "ledger").files() == []


def test_a_text_that_is_too_long_for_the_server_is_cut(tmp_path: Path) -> None:
    fake = FakeEmbeddings(longest=1_200)
    with serving(fake, tmp_path) as some:
        vectors = some.embed(["w" * 4_000, "short"])
    assert vectors.any(axis=1).all()
    assert max(map(len, fake.asked)) <= 1_000


def test_the_vector_of_a_deleted_posts_text_goes_and_others_stay(tmp_path: Path) -> None:
    fake = FakeEmbeddings()
    with serving(fake, tmp_path) as some:
        some.embed(["a deleted post", "one that stays"])
        with duckdb.connect() as con:
            gone = pa.table({"uri": ["at://x"], "text": ["a deleted  post"]})
            forget(con, Lake(tmp_path / "lake"), ledger_of(some_settings(tmp_path)), gone)
        some.embed(["a deleted post", "one that stays"])
    assert fake.asked == {"a deleted post": 2, "one that stays": 1}


def some_settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder)


def test_an_endpoint_without_a_model_is_told_in_the_settings() -> None:
    with pytest.raises(ValueError, match="must say which model"):
        Settings(_env_file=None, embeddings_base_url="http://localhost:1/v1")
