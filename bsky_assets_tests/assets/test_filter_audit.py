"""What the filters do to the shares: the estimates, against another's and against the truth."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import duckdb
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


@given(st.integers(1, 200), st.data())
def test_of_an_endless_population_the_interval_is_wilsons(
    sampled: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, sampled))
    mine = finite_rate(hits, sampled, 10**12)
    wilson = binomtest(hits, sampled).proportion_ci(0.95, method="wilson")
    assert (mine.low, mine.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)


@given(st.integers(1, 200), st.data())
def test_what_is_judged_whole_is_known(sampled: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, sampled))
    whole = finite_rate(hits, sampled, sampled)
    assert whole.low == whole.value == whole.high == hits / sampled


def drawn(dice: np.random.Generator, mix: dict[str, float], posts: int) -> list[str]:
    return list(dice.choice(list(mix), size=posts, p=list(mix.values())))


def sample_of(dice: np.random.Generator, labels: list[str]) -> list[int]:
    return [*dice.choice(len(labels), 50, replace=False)]


def test_intervals_of_shifts_hold_the_truth() -> None:
    """Two filters, one of them biased, 50 posts of each judged; 300 days."""
    dice = np.random.default_rng(11)
    held: Counter[tuple[str, int]] = Counter()
    days = 300
    for _ in range(days):
        passed = drawn(dice, MIX, 2_000)
        stopped = [drawn(dice, BIASED, 400), drawn(dice, MIX, 120)]
        strata = [
            Stratum(str(n), len(labels), {str(i): labels[i] for i in sample_of(dice, labels)})
            for n, labels in enumerate(stopped)
        ]
        for share in ("sociopolitical", "left", "right"):
            day_share = np.mean([counts_for(label, share) for label in passed])
            for which in ([0], [1], [0, 1]):
                everything = [*passed, *(label for n in which for label in stopped[n])]
                truth = np.mean([counts_for(label, share) for label in everything]) - day_share
                found = shift(float(day_share), len(passed), [strata[n] for n in which], share)
                held[share, len(which) * 10 + which[0]] += found.low <= truth <= found.high
    assert min(held.values()) > 0.91 * days, held
    assert max(held.values()) <= days


def planted_day(seed: int) -> tuple[list[tuple[Known, str | None]], dict[str, list[str]]]:
    """Posts and the filter that stopped each; and the truth, by filter. One filter is biased."""
    dice = np.random.default_rng(seed)
    kinds = {None: (MIX, 500), "spam": (BIASED, 150), "nsfw": (MIX, 20)}
    posts, truth = [], {}
    for name, (mix, count) in kinds.items():
        labels = drawn(dice, mix, count)
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
    assert len(judged) == 50 + 20


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
