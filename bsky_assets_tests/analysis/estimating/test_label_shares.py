"""The shares of a day of which a sample is labelled: what is stored, and what is shown first."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.estimating import estimate
from bsky_assets.analysis.estimating.shares import write_shares
from bsky_assets.contracts import LabelShare, ScoredPost
from bsky_assets.contracts.details import ShareDetails, StudentDetails
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, table

POSTS = 900


def truth(number: int) -> str:
    """A third of the posts is political, of these two thirds on the left."""
    if number % 3:
        return "not_sociopolitical"
    return "right" if number % 9 == 0 else "left"


def text_of(number: int) -> str:
    """What the model sees: it takes every tenth post that is not political for one of the left."""
    seen = {"left": "L", "right": "R", "not_sociopolitical": "N"}[truth(number)]
    return f"{'L' if seen == 'N' and number % 10 == 1 else seen} post {number}"


def scores() -> list[dict[str, Any]]:
    """A student that is right of nine posts in ten."""
    for_it = [(truth(n) != "not_sociopolitical") != (n % 10 == 7) for n in range(POSTS)]
    return [
        {"uri": filtered_post(n, "")["uri"], "political": 0.8 if says else 0.2, "student": "0" * 16}
        for n, says in enumerate(for_it)
    ]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("shares")
    with served(FakeEndpoint(by_first_letter).app()) as url:
        options = {"llm_models": ("fake",), "llm_sample": 450}
        lab = Lab(folder / "data", f"{url}/v1", options)
        lab.filtered(filtered_post(n, text_of(n)) for n in range(POSTS))
        student = StudentDetails(
            students={"political": "0" * 16}, learnt_from={"political": "model"}
        )
        lab.lake.write(ScoredPost, DAY, table(ScoredPost, scores()), student)
        lab.label()
        yield lab


def rows(lab: Lab) -> dict[tuple[str, str, str], dict[str, Any]]:
    write_shares(lab.lake, DAY, lab.settings)
    return {(r["label"], r["share_of"], r["stratum"]): r for r in lab.rows(LabelShare)}


def page(lab: Lab) -> str:
    with duckdb.connect() as con:
        report = report_of(con, lab.lake, lab.settings, DAY)
        text = write_page(report, lab.lake, lab.settings).read_text()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_shares_are_naive_until_people_coded_and_corrected_first_from_then_on(lab: Lab) -> None:
    before = rows(lab)
    naive = before["political", "all", "all"]
    assert (naive["posts"], naive["labelled"], naive["coded"]) == (900, 450, 0)
    assert naive["corrected"] is None
    assert naive["method"].startswith("not corrected: no labels by people")
    assert naive["naive_low"] <= 1 / 3 + 60 / POSTS <= naive["naive_high"], "as the model has it"
    told = page(lab)
    assert "These shares are not corrected: no labels by people" in told
    assert "450 posts were not asked about" in told

    room = room_of_draw(lab.settings, Draw([DAY], 200, ["label"], 3), ["ada"])
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            journal.add_all("ada", {number: truth(int(str(item.uri).rsplit("3k", 1)[1]))})
    after = rows(lab)
    political = after["political", "all", "all"]
    assert political["coded"] == 200
    assert political["corrected_low"] <= 1 / 3 <= political["corrected_high"]
    assert political["corrected"] < political["naive"]
    assert political["method"] == "design-based supervised learning, with a student's scores"
    assert political["people_sample"] == room.name
    for label in ("political", "left"):
        (one,) = estimate(label, [DAY], student=True, settings=lab.settings).coefficients
        row = after[label, "all", "all"]
        for kind, same in (("naive", one.naive), ("corrected", one.corrected)):
            ends = row[kind], row[f"{kind}_low"], row[f"{kind}_high"]
            assert ends == pytest.approx((same.value, same.low, same.high)), (label, kind)
    side = after["left", "political", "all"]
    assert side["naive"] == pytest.approx(after["left", "all", "all"]["naive"] / political["naive"])
    assert side["corrected_low"] <= 2 / 3 <= side["corrected_high"]
    assert side["naive"] > side["corrected"]
    assert {stratum for *_, stratum in after} == {
        "all", "source firehose", "score 0.1 to 0.3", "score 0.7 to 0.9",
    }  # fmt: skip
    low, high = (after["political", "all", f"score {of}"] for of in ("0.1 to 0.3", "0.7 to 0.9"))
    assert low["posts"] + high["posts"] == POSTS
    assert low["corrected"] < 0.2 < 0.8 < high["corrected"]
    assert all(row["method"].startswith("not corrected") for row in after.values()
               if row["corrected"] is None)  # fmt: skip
    partition = lab.lake.current(LabelShare, DAY)
    assert partition
    assert partition.told(ShareDetails).not_corrected is None
    told = page(lab)
    assert "Corrected by 200 posts that people coded" in told
    assert told.index("Corrected by 200 posts") < told.index("900 posts were received")


def test_scores_of_a_student_that_learnt_from_these_people_do_not_correct_them(lab: Lab) -> None:
    (name,) = (path.name for path in (lab.settings.data_dir / "coding").iterdir())
    student = StudentDetails(students={"political": "0" * 16}, learnt_from={"political": name})
    lab.lake.write(ScoredPost, DAY, table(ScoredPost, scores()), student)
    share = rows(lab)["political", "all", "all"]
    assert share["method"] == "design-based supervised learning"
    assert share["corrected_low"] <= 1 / 3 <= share["corrected_high"]


def test_a_day_of_one_author_carries_no_interval(tmp_path: Path) -> None:
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered([filtered_post(1, "L post 1")])
        lab.label()
        found = rows(lab)["political", "all", "all"]
    assert (found["posts"], found["naive"]) == (1, 1.0)
    assert (found["naive_low"], found["naive_high"]) == (0.0, 1.0)
