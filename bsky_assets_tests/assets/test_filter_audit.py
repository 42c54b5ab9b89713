"""What the filters do to the shares: the estimates, against another's and against the truth."""

from collections.abc import Iterator
from functools import cache
from math import comb
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import hypothesis
import numpy as np
import pytest
from dagster import AssetCheckSeverity, DagsterInstance, ExecuteInProcessResult, materialize
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bsky_assets.assets.filter_audit import filter_audit
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks.filter_audit import evaluate
from bsky_assets.labelling.audit import (
    ALL_FILTERS,
    SHARES,
    Stratum,
    audit_day,
    counts_for,
    finite_rate,
    shift,
)
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings, get_settings
from bsky_assets_tests.support.labelling import DAY, Known, Lab
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer
from testbed.rows import filtered_post

MIX = {"not_sociopolitical": 0.55, "left": 0.2, "right": 0.12, "moderate": 0.03, "unclear": 0.1}
BIASED = {
    "not_sociopolitical": 0.25,
    "left": 0.03,
    "right": 0.66,
    "moderate": 0.02,
    "unclear": 0.04,
}


@hypothesis.settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.data())
def test_of_an_endless_population_the_interval_is_clopper_and_pearsons(
    sampled: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, sampled))
    mine = finite_rate(hits, sampled, 10**7)
    exact = binomtest(hits, sampled).proportion_ci(0.95, method="exact")
    assert (mine.low, mine.high) == pytest.approx((exact.low, exact.high), abs=2e-5)


@hypothesis.settings(deadline=None, max_examples=50)
@given(st.integers(1, 80), st.data())
def test_an_interval_has_the_populations_from_which_such_a_sample_is_not_rare(
    population: int, data: st.DataObject
) -> None:
    """Told by adding up how many samples there are of each kind, in whole numbers."""
    sampled = data.draw(st.integers(1, population))
    hits = data.draw(st.integers(0, sampled))
    found = finite_rate(hits, sampled, population)

    def at_least_one_in_forty(with_it: int, possible: range) -> bool:
        ways = sum(comb(with_it, n) * comb(population - with_it, sampled - n) for n in possible)
        return 40 * ways > comb(population, sampled)

    for with_it in range(population + 1):
        not_rare = at_least_one_in_forty(with_it, range(hits, sampled + 1)) and (
            at_least_one_in_forty(with_it, range(hits + 1))
        )
        assert not_rare == (found.low <= with_it / population <= found.high)


@hypothesis.settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.data())
def test_what_is_judged_whole_is_known(sampled: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, sampled))
    whole = finite_rate(hits, sampled, sampled)
    assert whole.low == whole.value == whole.high == hits / sampled


FILTERS = [(60,), (1_000,), (60, 60), (60, 1_000), (400, 120, 60, 20)]
SHARES_THERE = [(0.02,) * 4, (0.5,) * 4, (0.98,) * 4, (0.02, 0.98, 0.5, 0.02)]


@pytest.mark.parametrize("shares", SHARES_THERE, ids=str)
@pytest.mark.parametrize("stopped", FILTERS, ids=str)
def test_intervals_of_shifts_hold_the_truth(
    stopped: tuple[int, ...], shares: tuple[float, ...]
) -> None:
    """2,000 days on which filters stopped so many posts, and 50 of each were judged at most."""
    dice = np.random.default_rng(11)
    sizes = [(n, round(share * n), min(n, 50)) for n, share in zip(stopped, shares, strict=False)]
    lefts = np.array([dice.hypergeometric(m, n - m, size, 2_000) for n, m, size in sizes])
    passed, day_share = 2_000, 0.2
    truth = (sum(m for _, m, _ in sizes) + passed * day_share) / (sum(stopped) + passed) - day_share

    @cache
    def found(hits: tuple[int, ...]) -> Estimate:
        strata = [
            Stratum(str(n), of, dict(enumerated(hit, size)))
            for n, (hit, (of, _, size)) in enumerate(zip(hits, sizes, strict=True))
        ]
        return shift(day_share, passed, strata, "left")

    intervals = [found(tuple(int(hit) for hit in hits)) for hits in lefts.T]
    held = sum(one.low - 1e-12 <= truth <= one.high + 1e-12 for one in intervals)
    assert held >= 0.945 * len(intervals)


def enumerated(lefts: int, size: int) -> Iterator[tuple[str, str]]:
    for number in range(size):
        yield str(number), "left" if number < lefts else "right"


def planted_day(seed: int) -> tuple[list[tuple[Known, str | None]], dict[str, list[str]]]:
    """Posts and the filter that stopped each; and the truth, by filter. One filter is biased."""
    kinds = {None: (MIX, 500), "spam": (BIASED, 150), "nsfw": (MIX, 60)}
    posts, truth = [], {}
    for name, (mix, count) in kinds.items():
        labels = [label for label, part in mix.items() for _ in range(round(part * count))]
        truth[str(name)] = labels
        for label in labels:
            political = label != "not_sociopolitical"
            text = f"Words number {len(posts)} of the day"
            posts.append((Known(text, political, label if political else None), name))
    Random(seed).shuffle(posts)
    return posts, truth


def truth_of(truth: dict[str, list[str]], names: list[str], share: str) -> float:
    with_them = [label for name in ["None", *names] for label in truth[name]]
    with_share, without = (
        np.mean([counts_for(label, share) for label in labels])
        for labels in (with_them, truth["None"])
    )
    return float(with_share - without)


def stored(number: int, post: Known, name: str | None) -> dict[str, Any]:
    return filtered_post(
        number, post.text, is_english=True, passed_filters=name is None, filtered_by_func=name
    )


def audited(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, seed: int
) -> tuple[ExecuteInProcessResult, dict[str, list[str]], Lab, LlmServer]:
    """A day of the sandbox's endpoint with a planted filter, labelled and audited by Dagster."""
    posts, truth = planted_day(seed)
    not_english = filtered_post(
        9_999, "Nada", is_english=False, passed_filters=False, filtered_by_func="english"
    )
    server = LlmServer([post for post, _ in posts])
    with served(server.app()) as url:
        monkeypatch.setenv("BSKY_LLM_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("BSKY_LLM_MODELS", "sandbox")
        monkeypatch.setenv("BSKY_LLM_COMPANY_SAMPLE", "0")
        get_settings.cache_clear()
        lab = Lab(settings.data_dir, f"{url}/v1")
        lab.filtered([*(stored(n, *entry) for n, entry in enumerate(posts)), not_english])
        lab.label()
        done = materialize(
            [of_settings(asset, settings) for asset in (filtered_posts, llm_labels, filter_audit)],
            selection=[filter_audit],
            partition_key=DAY.isoformat(),
            resources={"data": DataDirectory(lab.settings), "duckdb": duckdb_resource(settings)},
            instance=DagsterInstance.ephemeral(),
        )
    return done, truth, lab, server


def shares_of(lab: Lab) -> list[dict[str, Any]]:
    with duckdb.connect(str(lab.settings.catalogue_path), read_only=True) as con:
        rows = con.sql("FROM filter_audit").to_arrow_table().to_pylist()
    found: list[dict[str, Any]] = rows
    return found


def test_a_planted_biased_filter_is_found_with_its_shift_inside_the_interval(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, truth, lab, _ = audited(settings, monkeypatch, seed=3)
    rows = shares_of(lab)
    assert {row["filter"] for row in rows} == {"spam", "nsfw", ALL_FILTERS}, "English posts only"
    assert {row["label"] for row in rows} == {*SHARES}
    for row in rows:
        names = ["spam", "nsfw"] if row["filter"] == ALL_FILTERS else [row["filter"]]
        shifted = truth_of(truth, names, row["label"])
        assert row["shift_low"] - 1e-9 <= shifted <= row["shift_high"] + 1e-9, row
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == AssetCheckSeverity.WARN
    assert "had spam stopped none, the share of right would move by +" in str(check.description)
    assert "nsfw" not in str(check.description), "what stops all sides alike is not warned of"
    labelled = {row["uri"] for row in lab.rows()}
    judged = {uri for row in rows for uri in row["posts"]}
    assert len(labelled) == 500
    assert labelled.isdisjoint(judged), "the answers make no labels"
    assert len(judged) == 50 + 50


def test_an_audit_asks_the_same_posts_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _, lab, server = audited(settings, monkeypatch, seed=4)
    first, asked = shares_of(lab), server.statuses[200]
    away = Lab(lab.folder, "http://127.0.0.1:9/v1")
    with duckdb.connect() as con:
        again = audit_day(con, away.lake, DAY, away.settings)
    assert again.details["requests"] == 0
    assert shares_of(lab) == first
    assert server.statuses[200] == asked
    assert done.success


def test_a_filter_that_stops_all_alike_passes_and_one_that_stops_nothing_says_so(
    settings: Settings, tmp_path: Path
) -> None:
    posts = [
        Known(f"Words number {n}", n % 2 == 0, "left" if n % 2 == 0 else None) for n in range(80)
    ]
    with served(LlmServer(posts).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1")
        for stopped in (None, "spam"):
            lab.filtered(
                stored(n, post, stopped if n % 4 < 2 else None) for n, post in enumerate(posts)
            )
            lab.label()
            with duckdb.connect() as con:
                partition = audit_day(con, lab.lake, DAY, lab.settings)
                (outcome,) = evaluate(con, lab.lake, lab.settings, partition)
            assert outcome.passed is (stopped == "spam"), outcome.description
            if stopped is None:
                assert str(outcome.description).startswith("nothing was checked")
    assert partition.rows == 2 * len(SHARES)
