"""Labels with news: who is told of what, in which question, and how a label is traced to it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.contracts.details import ContextDetails
from bsky_assets.contracts.news import NewsArticle, NewsContext
from bsky_assets.labelling.news_given import CLEAR, NO_NAME, NONE_AT_ALL, NOT_NEAR
from bsky_assets.orchestration.publish import publish
from bsky_assets_tests.docs.pages import commands
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question, by_first_letter
from bsky_assets_tests.support.news import ON, TEXTS, article, told
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, table

REQUESTS = "fe35a39e78077730b27c658cf6b546c3fd2b67b00451af9deee594b854faf4f1"
PROMPT = "57539260e4e8f7ee"
"""Of requests about `TEXTS`, and of the prompt, as they were before there was any news."""


def with_news_right(body: dict[str, Any], question: Question) -> dict[str, Any]:
    """As by the first letter, but right for a post that is told of news."""
    answers = by_first_letter(body, question)
    return {key: "right" if question[key].get("news") else said for key, said in answers.items()}


@pytest.fixture
def endpoint() -> Iterator[tuple[FakeEndpoint, str]]:
    fake = FakeEndpoint(with_news_right)
    with served(fake.app()) as url:
        yield fake, f"{url}/v1"


def lab(folder: Path, url: str, **options: Any) -> Lab:
    one = {"llm_models": ("fake",), "llm_batch_size": 2, "llm_concurrency": 1, **options}
    made = Lab(folder, url, one)
    made.filtered(filtered_post(number, text) for number, text in enumerate(TEXTS))
    return made


def test_without_news_requests_are_byte_for_byte_what_they_were(
    tmp_path: Path, endpoint: tuple[FakeEndpoint, str]
) -> None:
    fake, url = endpoint
    for number, options in enumerate(
        ({}, {**ON, "news_context": "off"}, {**ON, "news_context": "off", "news_views": True})
    ):
        fake.requests.clear()
        one = lab(tmp_path / str(number), url, **options)
        if options:
            rows = [told(0, "name"), told(3, "if_unclear")]
            one.lake.write(NewsContext, DAY, table(NewsContext, rows))
        details = one.label().details
        assert (details["prompt_version"], details["news"]) == (PROMPT, None)
        sent = sorted(json.dumps(body, sort_keys=True) for body in fake.requests)
        assert hashlib.sha256("\n".join(sent).encode()).hexdigest() == REQUESTS


def test_a_post_is_told_at_once_or_once_its_answer_is_unclear_and_a_label_leads_to_the_article(
    tmp_path: Path, endpoint: tuple[FakeEndpoint, str]
) -> None:
    fake, url = endpoint
    one = lab(tmp_path, url, **ON)
    rows = [
        told(0, "name"),
        told(1, "closed"),
        told(3, "if_unclear", None),
        told(4, "if_unclear", None),
    ]
    one.lake.write(NewsContext, DAY, table(NewsContext, rows))
    one.lake.write(NewsArticle, DAY, table(NewsArticle, map(article, range(5))))
    partition = one.label()
    # The one that was unclear is asked about a second time, and no other.
    assert fake.asked == {text: 2 if text == TEXTS[3] else 1 for text in TEXTS}
    posts = [post for body in fake.requests for post in _posts(body)]
    assert sorted(post["text"] for post in posts if "news" in post) == [TEXTS[0], TEXTS[3]]
    publish(one.settings)
    with duckdb.connect(str(one.settings.catalogue_path), read_only=True) as con:
        (readme,) = (one for one in commands("README.md") if "news_articles" in one.text)
        traced = con.sql(readme.words[-1]).order("title").fetchall()
        labels = con.sql("SELECT count(*), count(DISTINCT uri) FROM llm_labels").fetchall()
    assert traced == [
        (told(n, "")["uri"], "right", f"Senate votes {n}", article(n)["url"], gate, name, 0.3)
        for n, gate, name in ((0, "name", "senate"), (3, "if_unclear", None))
    ]
    assert labels == [(5, 5)]
    (model,) = partition.details["models"]
    assert (model["questions"], model["answered"], model["failed"]) == (6, 6, 0)
    assert model["requests"] == len(fake.requests)
    assert partition.details["prompt_version"] != PROMPT
    assert partition.details["news"] == {
        "given": 2,
        "without": {NO_NAME: 1, NOT_NEAR: 1, CLEAR: 1},
    }
    asked = fake.asked.total()
    one.label()
    assert fake.asked.total() == asked


def test_a_day_without_context_is_labelled_all_the_same(
    tmp_path: Path, endpoint: tuple[FakeEndpoint, str]
) -> None:
    fake, url = endpoint
    one = lab(tmp_path, url, **ON)
    told_why = one.label().details["news"]
    assert told_why["without"] == {NONE_AT_ALL: 5}
    assert f"there is no news_context of {DAY}" in told_why["problem"]
    why = ContextDetails(problem="there is no article with a vector in the window")
    one.lake.write(NewsContext, DAY, table(NewsContext, []), why)
    assert one.label().details["news"]["problem"] == why.problem
    not_proven = lab(tmp_path / "proven", url, **{**ON, "news_context": "proven"})
    assert "is not shown to help" in not_proven.label().details["news"]["problem"]
    assert [row["context"] for row in one.rows()] == [[]] * 5
    assert not any("news" in post for body in fake.requests for post in _posts(body))


def _posts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [*json.loads(body["messages"][-1]["content"]).values()]
