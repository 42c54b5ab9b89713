"""`context_effect`: news is taken for help only where coded posts show that it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dagster import AssetKey, DagsterInstance, materialize

from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.news import ContextEffect, NewsContext
from bsky_assets.definitions import build_defs
from bsky_assets.labelling.context_proof import is_gain
from bsky_assets.labelling.news_texts import has_context
from bsky_assets.labelling.statistics.paired import effect
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post

POSTS = 60
CRYPTIC = 24


def of_helped(_body: dict[str, Any], question: Question) -> dict[str, Any]:
    """Cryptic posts are understood with news only."""
    return {
        key: "unclear" if "cryptic" in post["text"] and "news" not in post else "left"
        for key, post in question.items()
    }


def of_heedless(_body: dict[str, Any], question: Question) -> dict[str, Any]:
    """Whatever the news."""
    return {
        key: "unclear" if "cryptic" in post["text"] else "left" for key, post in question.items()
    }


def coded_day(folder: Path, url: str) -> Lab:
    """A labelled day whose cryptic posts are about articles, and labels of it by people."""
    posts = [
        filtered_post(number, f"Post {number}, {'cryptic' if number < CRYPTIC else 'plain'}")
        for number in range(POSTS)
    ]
    gold = folder / "gold.csv"
    gold.write_text("\n".join(["uri,political_ideology", *(f"{p['uri']},left" for p in posts)]))
    options = {"news_feeds": {"wire": "https://wire.example/rss"}, "llm_gold": gold}
    lab = Lab(folder / "data", f"{url}/v1", {"llm_models": ("fake",), **options})
    lab.filtered(posts)
    told = [
        {
            "uri": post["uri"], "article_id": "0" * 16, "gate": "name", "name": "Senate",
            "distance": 0.3, "margin": 0.2, "rank": 1, "told": "wire: the vote", "model": "none",
        }
        for post in posts[:CRYPTIC]
    ]  # fmt: skip
    lab.lake.write(NewsContext, DAY, pa.Table.from_pylist(told, schema=arrow_schema(NewsContext)))
    lab.label()
    return lab


@pytest.mark.parametrize(("answers", "helps"), [(of_helped, True), (of_heedless, False)])
def test_labels_are_made_with_news_only_if_a_model_is_shown_to_gain_by_it(
    tmp_path: Path, answers: Any, helps: bool
) -> None:
    endpoint = FakeEndpoint(answers)
    with served(endpoint.app()) as url:
        lab = coded_day(tmp_path, url)
        lab.options["news_context"] = "proven"
        assert not has_context(lab.settings), "nothing is shown yet"
        defs = build_defs(lab.settings)
        with DagsterInstance.ephemeral() as instance:
            done = materialize(
                [defs.resolve_assets_def(AssetKey("context_effect"))],
                partition_key=DAY.isoformat(),
                instance=instance,
            )
        assert done.success
        (check,) = done.get_asset_check_evaluations()
        assert check.passed
        rows = {(row["measure"], row["label"]): row for row in lab.rows(ContextEffect)}
        accuracy = rows["accuracy", "all"]
        gained = CRYPTIC if helps else 0
        assert (accuracy["posts"], accuracy["only_with"], accuracy["only_without"]) == (
            POSTS, gained, 0,
        )  # fmt: skip
        assert accuracy["value_without"] == pytest.approx((POSTS - CRYPTIC) / POSTS)
        assert accuracy["p"] == pytest.approx(2 / 2**CRYPTIC if helps else 1.0)
        assert rows["share", "left"]["only_without"] == 0
        assert (rows["share", "left"]["only_with"] > 0) == helps
        assert rows["share", "left"]["posts"] == 50, "the sample of the day"
        assert has_context(lab.settings) == helps
        before = endpoint.asked.copy()
        lab.label()
        assert endpoint.asked == before, "both ways are known by now"
        with_news = [
            row for row in lab.rows() if row["is_label_of_record"] and "news" in row["context"]
        ]
        assert len(with_news) == (CRYPTIC if helps else 0)
        lab.options["news_context"] = "on"
        assert has_context(lab.settings), "the owner insists"


@pytest.mark.parametrize("put_right", [0.0, 0.5])
def test_news_that_does_not_help_is_taken_for_help_as_rarely_as_stated(put_right: float) -> None:
    """200 models with 200 coded posts, of which 30% are wrong: a prompt with news changes 30% of
    the answers, and puts right a part of those that are wrong."""
    dice = np.random.default_rng(7)
    taken = 0
    for _ in range(200):
        without = dice.random(200) < 0.7
        anew = dice.random(200) < 0.3
        with_it = np.where(anew, dice.random(200) < 0.7, without) | (dice.random(200) < put_right)
        taken += is_gain(effect(without.tolist(), with_it.tolist()))
    assert taken >= 195 if put_right else taken <= 10
