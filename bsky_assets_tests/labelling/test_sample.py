"""The sample of record: what is drawn, what is told of it, and that everything weighs it."""

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.analysis.estimating.population import population
from bsky_assets.checks.llm_labels import evaluate
from bsky_assets.contracts import FilteredPost, LlmLabel, ScoredPost
from bsky_assets.contracts.details import LabelDetails, SampledStratum, StudentDetails
from bsky_assets.errors import UserError
from bsky_assets.exports.export import export
from bsky_assets.labelling.audit import Stratum, shift
from bsky_assets.labelling.sample import group_names
from bsky_assets.labelling.statistics.weighing import weighted_share
from bsky_assets.reporting.measures import counts, part_of, share
from bsky_assets.settings import get_settings
from bsky_assets_tests.support.codebooks import codebook, read_off
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, table

POSTS = 300
FED = 60
"""Posts of these that a feed brought, every second of which is left; of the others every tenth."""


def is_left(number: int) -> bool:
    return number % (2 if number < FED else 10) == 0


def post(number: int) -> dict[str, Any]:
    one = filtered_post(number, f"{'L' if is_left(number) else 'N'} post {number}")
    source = "most_liked" if number < FED else "firehose"
    return {**one, "metadata": {**one["metadata"], "source": source}}


def number_of(uri: str) -> int:
    return int(uri.rsplit("3k", 1)[1])


@pytest.fixture
def endpoint() -> FakeEndpoint:
    return FakeEndpoint(by_first_letter)


@pytest.fixture
def lab(tmp_path: Path, endpoint: FakeEndpoint) -> Any:
    with served(endpoint.app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        stopped = [filtered_post(n, f"L stopped {n}", passed_filters=False) for n in (900, 901)]
        lab.filtered([*map(post, range(POSTS)), *stopped])
        yield lab


def outcomes(lab: Lab) -> dict[str, Any]:
    with duckdb.connect() as con:
        partition = lab.lake.current(LlmLabel, DAY)
        assert partition
        found = evaluate(con, lab.lake, lab.settings, partition)
    return {str(one.check_name): one for one in found}


def test_a_sample_is_drawn_by_chance_told_of_and_weighed_and_stays_the_same(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    lab.options["llm_sample"] = 50
    partition = lab.label()
    told = partition.told(LabelDetails)
    assert told.sample
    assert told.sample.student is None
    assert [(one.stratum, one.posts, one.sampled) for one in told.sample.strata] == [
        ("firehose", 240, 40),
        ("most_liked", 60, 10),
    ]
    assert (told.posts, told.labelled, told.not_asked) == (300, 50, 250)
    assert sum(endpoint.asked.values()) == 50, "the others cost nothing"
    rows = lab.rows()
    assert len(rows) == 50
    assert {(row["selection_stratum"], row["selection_chance"]) for row in rows} == {
        ("firehose", 40 / 240),
        ("most_liked", 10 / 60),
    }
    assert sum(1 / row["selection_chance"] for row in rows) == pytest.approx(300)
    lefts = Counter(row["selection_stratum"] for row in rows if row["political_ideology"] == "left")
    weighed = (lefts["firehose"] * 6 + lefts["most_liked"] * 6) / 300
    assert told.shares["left"] == pytest.approx(weighed)
    point = part_of(partition, ["left"])
    assert point
    assert point.value == pytest.approx(weighed)
    assert point.low is not None
    assert point.high is not None
    assert point.low < weighed < point.high
    assert counts(partition)["left"] == round(300 * weighed)
    check = outcomes(lab)["labels_cover_all_passed_posts"]
    assert check.passed
    assert check.metadata["not_asked"].value == 250
    before = {row["uri"] for row in rows}
    assert {row["uri"] for row in lab.label().details and lab.rows()} == before
    assert sum(endpoint.asked.values()) == 50
    lab.options["llm_sample"] = 0.5
    larger = lab.label().told(LabelDetails)
    assert larger.labelled == 150
    drawn = {row["uri"] for row in lab.rows() if row["is_label_of_record"]}
    assert before < drawn, "a larger sample has the smaller one in it"
    assert sum(endpoint.asked.values()) == 150


def test_a_label_of_a_post_that_is_not_drawn_any_more_stays_beside_the_sample(lab: Lab) -> None:
    lab.label()
    everything = {row["uri"] for row in lab.rows()}
    assert {row["selection_chance"] for row in lab.rows()} == {1.0}
    assert {row["selection_stratum"] for row in lab.rows()} == {None}
    lab.options["llm_sample"] = 50
    partition = lab.label()
    assert {row["uri"] for row in lab.rows()} == everything
    assert partition.told(LabelDetails).other_labels == 250
    assert len(lab.labels()) == 50
    assert outcomes(lab)["labels_cover_all_passed_posts"].passed


def test_a_post_of_the_sample_without_a_row_is_found_and_a_failed_one_too(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    lab.options["llm_sample"] = 50
    partition = lab.label()
    with duckdb.connect() as con:
        lab.lake.relation(con, LlmLabel, [DAY]).create_view("labels_now")
        lab.lake.write_query(
            con, LlmLabel, DAY, "FROM labels_now LIMIT 48", partition.told(LabelDetails)
        )
    found = outcomes(lab)["labels_cover_all_passed_posts"]
    assert not found.passed
    assert found.description == "2 posts of the day's sample have no row; run again"


def test_strata_that_a_student_makes_give_more_where_it_is_in_doubt(lab: Lab) -> None:
    scores = [
        {
            "uri": post(n)["uri"],
            "political": 0.6 if n < FED else 0.02,
            "student": "0123456789abcdef",
        }
        for n in range(POSTS)
    ]
    details = StudentDetails(students={"political": "0123456789abcdef"}, scored=POSTS)
    lab.lake.write(ScoredPost, DAY, table(ScoredPost, scores), details)
    lab.options["llm_sample"] = 60
    sample = lab.label().told(LabelDetails).sample
    assert sample
    assert sample.student == "0123456789abcdef"
    sure, doubtful = sample.strata
    assert (sure.stratum, doubtful.stratum) == ("score 0.0 to 0.1", "score 0.5 to 0.7")
    assert {sure.stratum, doubtful.stratum} <= {*group_names()}
    # Neyman: 240 posts of spread .14, and 60 of .49.
    assert (sure.sampled, doubtful.sampled) == (32, 28)


def test_the_population_of_a_sampled_day_is_all_that_it_was_drawn_from(lab: Lab) -> None:
    lab.options["llm_sample"] = 50
    lab.label()
    posts = population(lab.settings, [DAY])
    assert len(posts) == POSTS
    assert posts["label"].notna().sum() == posts["chance"].notna().sum() == 50
    assert (1 / posts["chance"]).sum() == pytest.approx(POSTS)


def test_over_many_days_weighed_shares_are_right_and_intervals_hold_the_truth() -> None:
    """Strata of unlike size and share, drawn unlike: 400 samples."""
    dice = np.random.default_rng(2)
    sizes, truths, drawn = (5000, 800, 200), (0.1, 0.5, 0.8), (60, 60, 40)
    truth = sum(n * p for n, p in zip(sizes, truths, strict=True)) / sum(sizes)
    held, values = 0, []
    for _ in range(400):
        strata = []
        for number, (posts, p, size) in enumerate(zip(sizes, truths, drawn, strict=True)):
            left = int(dice.hypergeometric(round(posts * p), posts - round(posts * p), size))
            strata.append(
                SampledStratum(
                    stratum=str(number),
                    posts=posts,
                    sampled=size,
                    labelled=size,
                    labels={"left": left, "no": size - left},
                )
            )
        found = weighted_share(strata, ["left"])
        assert found
        held += found[1] <= truth <= found[2]
        values.append(found[0])
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / 20)
    assert 372 <= held <= 394


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 400), st.data())
def test_a_sample_of_one_stratum_has_nearly_wilsons_interval(size: int, data: Any) -> None:
    left = data.draw(st.integers(0, size))
    one = SampledStratum(
        stratum="all", posts=10 * size, sampled=size, labelled=size,
        labels={"left": left, "no": size - left},
    )  # fmt: skip
    found, plain = weighted_share([one], ["left"]), share(DAY, left, size)
    assert found
    assert plain
    assert plain.low is not None
    assert found[0] == pytest.approx(plain.value)
    assert found[1] == pytest.approx(plain.low, abs=0.6 / size)


@pytest.mark.parametrize("value", ["0", "1", "2.5", "-3", "many"])
def test_a_sample_is_a_number_or_a_share(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSKY_LLM_SAMPLE", value)
    get_settings.cache_clear()
    with pytest.raises(UserError, match="BSKY_LLM_SAMPLE") as refused:
        get_settings()
    assert "\n" not in str(refused.value)
    get_settings.cache_clear()


def test_a_day_with_fewer_posts_than_the_sample_is_asked_about_whole(lab: Lab) -> None:
    lab.lake.write(FilteredPost, DAY, table(FilteredPost, map(post, range(55, 70))))
    lab.options["llm_sample"] = 2000
    told = lab.label().told(LabelDetails)
    assert (told.posts, told.labelled, told.not_asked) == (15, 15, 0)
    assert {row["selection_chance"] for row in lab.rows()} == {1.0}


def test_an_export_says_that_labels_are_a_sample_and_gives_the_weights(
    lab: Lab, tmp_path: Path
) -> None:
    lab.options["llm_sample"] = 50
    lab.label()
    with duckdb.connect() as con:
        export(con, lab.lake, lab.settings, [DAY], tmp_path / "out", level="public")
        given = str(tmp_path / "out" / "public_labels.parquet")
        rows = con.execute(
            "SELECT sum(1 / selection_chance), count(*), count(selection_stratum) FROM "
            "read_parquet(?)",
            [given],
        ).fetchall()
    assert rows == [(pytest.approx(POSTS), 50, 50)]
    readme = (tmp_path / "out" / "README.md").read_text()
    assert f"of {DAY}: a random sample, 50 of 300 posts" in readme
    lab.options["llm_sample"] = None
    lab.label()
    with duckdb.connect() as con:
        export(con, lab.lake, lab.settings, [DAY], tmp_path / "all")
    assert "random sample" not in (tmp_path / "all" / "README.md").read_text()


def test_the_shift_by_a_filter_allows_for_a_share_of_the_day_that_is_a_samples() -> None:
    stopped = Stratum("spam", 100, {str(n): "left" if n < 10 else "right" for n in range(50)})
    whole = shift(0.5, 1000, [stopped], "left")
    sampled = shift(0.5, 1000, [stopped], "left", (0.4, 0.6))
    assert sampled.value == whole.value
    assert sampled.low < whole.low - 0.002
    assert sampled.high > whole.high + 0.002
    assert shift(0.5, 1000, [stopped], "left", (0.5, 0.5)) == whole


def test_a_codebook_asks_about_the_same_sample_and_within_that_of_the_codebook_above_it(
    tmp_path: Path,
) -> None:
    above = codebook("toxic", "boolean", {"yes": "It attacks.", "no": "It does not."})
    where = 'only_where = {codebook = "toxic", answers = ["yes"]}'
    below = codebook("feelings", "several_of", {"joy": "Glad.", "fear": "Dread."}, where)
    with served(FakeEndpoint(read_off).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",), "llm_sample": 0.25})
        toxic, feelings = lab.codebook(above), lab.codebook(below)
        said = ("toxic=yes feelings=joy,fear", "toxic=yes feelings=joy", "toxic=no", "toxic=no")
        lab.filtered(filtered_post(n, f"{said[n % 4]} {n}") for n in range(200))
        first, second = (lab.label(row=row).told(LabelDetails) for row in (toxic, feelings))
        drawn, asked = ({row["uri"]: row for row in lab.rows(row)} for row in (toxic, feelings))
    assert (first.posts, first.labelled, len(drawn)) == (200, 50, 50)
    assert {*asked} == {uri for uri, row in drawn.items() if row["answer"]}
    assert {row["selection_chance"] for row in asked.values()} == {0.25}
    assert second.sample
    assert second.posts == 4 * len(asked), "so many posts of the day are toxic, about"
    assert second.shares["joy"] == 1
    fearful = sum("fear" in row["answer"] for row in asked.values()) / len(asked)
    assert second.shares["fear"] == pytest.approx(fearful)
