"""Several days at a time: in which order, what a day that fails does to others, and going on."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterRunStatus

from bsky_assets.commands.running import DayFailed, materialize_day
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, RawFirehosePost
from bsky_assets.definitions import defs
from bsky_assets.orchestration import process_pool
from bsky_assets.orchestration.backfill import Wave, backfill, waves
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.orchestration.process_pool import ProcessPool
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.orchestration.pool_work import (
    DAYS,
    DIES,
    FAILS,
    takes_no_notice,
    waits_for_another,
    work,
)
from bsky_assets_tests.support.command import in_this_process
from testbed.rows import firehose_post, table

pytestmark = pytest.mark.scenario

BOTH = 'key:"consolidated_posts" or key:"filtered_posts"'


def test_what_reads_earlier_days_begins_when_all_of_these_are_done() -> None:
    graph = defs.resolve_asset_graph()
    found = waves(graph, list(graph.toposorted_asset_keys))
    assert [set(wave.assets) for wave in found] == [
        {
            "raw_firehose_posts",
            "raw_feed_posts",
            "raw_post_deletions",
            "raw_moderation_labels",
        },
        {"consolidated_posts"},
        {"filtered_posts", "student_scores"},
        {"llm_labels", "label_shares", "model_agreement"},
        {"filter_audit", "daily_report"},
    ]
    assert [wave.one_at_a_time for wave in found] == [False, False, False, True, True]
    only = waves(graph, [AssetKey("filtered_posts"), AssetKey("daily_report")])
    assert [set(wave.assets) for wave in only] == [{"filtered_posts", "daily_report"}]


def test_a_day_that_fails_or_whose_process_dies_does_not_stop_others(tmp_path: Path) -> None:
    told: list[str] = []
    with ProcessPool(2, partial(work, tmp_path)) as both:
        failed = both.run(DAYS, ["one"], told.append, one_at_a_time=False)
        again = both.run(DAYS[2:], ["two", "three"], told.append, one_at_a_time=True)
    assert sorted(failed) == [DIES, FAILS]
    assert again == {FAILS: "no posts"}
    assert "-9" in failed[DIES]
    done = [line.split() for line in (tmp_path / "done").read_text().splitlines()]
    assert {day for day, assets, _ in done if assets == "one"} == {str(day) for day in DAYS}
    assert [day for day, assets, _ in done if assets == "two,three"] == [str(d) for d in DAYS[2:]]
    assert len({process for *_, process in done}) <= 3
    assert len(told) == len(DAYS) + 2


def test_days_that_others_make_are_not_held_to_the_cores_of_this_machine(
    settings: Settings, tmp_path: Path
) -> None:
    launched = settings.model_copy(update={"launcher": "slurm", "threads": 1, "concurrent_days": 2})
    (folder := tmp_path / "days").mkdir()
    todo = [Wave(("filtered_posts",), one_at_a_time=False)]
    graph = defs.resolve_asset_graph()
    work_there = partial(waits_for_another, folder)
    assert backfill(graph, DAYS[:2], todo, launched, work_there, str) == {}


def test_a_run_that_is_interrupted_before_it_began_is_not_left_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "dagster._core.execution.execute_in_process.ExecuteRunWithPlanIterable", interrupted
    )
    with open_instance(settings) as instance:
        with pytest.raises(KeyboardInterrupt):
            materialize_day(instance, DAYS[0], BOTH)
        (run,) = instance.get_runs()
    assert run.status is DagsterRunStatus.CANCELED


def test_in_the_background_too_a_command_can_be_terminated_after_a_run(settings: Settings) -> None:
    """A shell lets what it puts there ignore interrupts; it is terminated all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with open_instance(settings) as instance, pytest.raises(DayFailed):
            materialize_day(instance, DAYS[0], "consolidated_posts")
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_that_takes_no_notice_of_an_interrupt_is_the_last_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "STOP_SECONDS", 20)
    with suppress(KeyboardInterrupt), ProcessPool(1, partial(takes_no_notice, tmp_path)) as one:
        days = {"days": DAYS, "assets": ["one"], "log": str, "one_at_a_time": False}
        threading.Thread(target=one.run, kwargs=days, daemon=True).start()
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert (tmp_path / "ended").exists(), "it had to be killed"


WAITS_WHEN_A_DAY_IS_DONE = """
import time
from bsky_assets import cli
from bsky_assets.commands import running

tell = running.echo_err

def tell_and_wait(line):
    tell(line)
    while " done, " in line:
        time.sleep(0.05)

running.echo_err = tell_and_wait
cli.main()
"""

MATERIALIZE = ("materialize", "--select", BOTH, "--day", str(DAYS[0]), "--to", str(DAYS[2]))


def environment(settings: Settings) -> dict[str, str]:
    # A second process would only cost its start.
    return {"BSKY_DATA_DIR": str(settings.data_dir), "BSKY_CONCURRENT_DAYS": "1"}


def test_a_range_that_is_interrupted_goes_on_where_it_stopped(settings: Settings) -> None:
    lake = Lake(settings.lake_dir)
    for number, day in enumerate(DAYS[:2]):
        posts = [firehose_post("did:plc:ann", f"3k{number}{n}", seq=n) for n in range(20)]
        lake.write(RawFirehosePost, day, table(RawFirehosePost, posts))

    first = subprocess.Popen(
        [sys.executable, "-c", WAITS_WHEN_A_DAY_IS_DONE, *MATERIALIZE],
        env=os.environ | environment(settings),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stderr
    for line in first.stderr:
        if " done, " in line:
            break
    first.terminate()
    _, said = first.communicate(timeout=250)
    assert first.returncode == 130, said
    assert "--missing goes on" in said
    done = {day: made.path for day in DAYS if (made := lake.current(ConsolidatedPost, day))}
    assert done
    assert not lake.partitions(FilteredPost)

    second = in_this_process(*MATERIALIZE, "--missing", **environment(settings))
    assert second.returncode == 1
    problem = second.stderr.splitlines()[-1]
    assert problem.startswith(f"error: 1 of 3 days failed: {DAYS[2]}: consolidated_posts failed")
    assert lake.days(FilteredPost) == DAYS[:2]
    assert all(made.rows == 20 for made in lake.partitions(FilteredPost))
    for day, path in done.items():
        made = lake.current(ConsolidatedPost, day)
        assert made
        assert made.path == path, "a day that was done was done again"
