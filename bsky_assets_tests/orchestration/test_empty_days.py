"""Backfills as the UI asks for them, by Dagster's daemon, over days some of which have no data."""

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun
from dagster._core.execution.api import execute_run
from dagster._core.execution.asset_backfill import execute_asset_backfill_iteration
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._utils.hosted_user_process import recon_job_from_origin

from bsky_assets.commands.running import DayFailed, materialize_day
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, RawFirehosePost
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.orchestration.simulated_days import CODE
from testbed.rows import firehose_post, table

DAYS = [date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9)]
WITH_DATA = DAYS[1]
KEYS = [AssetKey(ConsolidatedPost.asset), AssetKey(FilteredPost.asset)]
LOGGER = logging.getLogger("backfill")

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]


class Daemon:
    """Dagster's daemon of backfills, and whoever runs what it asks for."""

    def __init__(self, instance: DagsterInstance, code: WorkspaceProcessContext) -> None:
        self.instance, self.code = instance, code
        self.launched: list[DagsterRun] = []

    def backfill(self, keys: list[AssetKey], days: list[date]) -> PartitionBackfill:
        """The backfill when it has come to its end."""
        asked = PartitionBackfill.from_asset_partitions(
            backfill_id="asked",
            asset_graph=self.code.create_request_context().asset_graph,
            partition_names=[day.isoformat() for day in days],
            asset_selection=keys,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=self.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        self.instance.add_backfill(asked)
        for _ in range(20):
            found = self.instance.get_backfill("asked")
            assert found
            if found.status is not BulkActionStatus.REQUESTED:
                return found
            asyncio.run(execute_asset_backfill_iteration(found, LOGGER, self.code, self.instance))
            self.work()
        raise AssertionError("it has no end")

    def launch(self, context: LaunchRunContext) -> None:
        """Take a run in, as a launcher does."""
        self.launched.append(context.dagster_run)

    def work(self) -> None:
        """Run all that was launched."""
        while self.launched:
            run = self.launched.pop(0)
            assert run.job_code_origin
            execute_run(recon_job_from_origin(run.job_code_origin), run, self.instance)

    def told(self, key: AssetKey, day: date) -> dict[str, object]:
        """The metadata of what Dagster was told of a partition."""
        (event,) = (
            record.asset_materialization
            for record in self.instance.fetch_materializations(key, limit=100).records
            if record.partition_key == day.isoformat()
        )
        assert event
        return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def daemon(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    code = tmp_path / "code.py"
    code.write_text(CODE)
    at_once = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    target = LoadableTargetOrigin(python_file=str(code), attribute="defs")
    with (
        instance_for_test({"run_coordinator": at_once}, temp_dir=str(tmp_path)) as instance,
        WorkspaceProcessContext(
            instance, InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(target))
        ) as workspace,
    ):
        daemon = Daemon(instance, workspace)
        monkeypatch.setattr(instance.run_launcher, "launch_run", daemon.launch)
        yield daemon


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """Posts on one of three days."""
    lake = Lake.of(settings)
    posts = [firehose_post("did:plc:ann", f"3k{n}", seq=n) for n in range(20)]
    lake.write(RawFirehosePost, WITH_DATA, table(RawFirehosePost, posts))
    return lake


def test_a_backfill_skips_days_without_data_with_a_reason_and_does_the_others(
    daemon: Daemon, lake: Lake
) -> None:
    ended = daemon.backfill(KEYS, DAYS)
    assert ended.status is BulkActionStatus.COMPLETED_SUCCESS
    assert lake.days(ConsolidatedPost) == lake.days(FilteredPost) == [WITH_DATA]
    for key in KEYS:
        assert "skipped" not in daemon.told(key, WITH_DATA)
        for day in (DAYS[0], DAYS[2]):
            assert daemon.told(key, day)["skipped"] == f"nothing was collected on {day}"


def test_a_backfill_does_not_skip_a_day_that_has_data_and_lacks_what_it_is_made_from(
    daemon: Daemon, lake: Lake
) -> None:
    ended = daemon.backfill([KEYS[1]], [WITH_DATA])
    assert ended.status is BulkActionStatus.COMPLETED_FAILED
    assert lake.days(FilteredPost) == []


def test_a_day_without_data_that_is_asked_for_by_itself_fails_and_says_what_to_do(
    settings: Settings, lake: Lake
) -> None:
    with open_instance(settings) as instance, pytest.raises(DayFailed, match="nothing was collect"):
        materialize_day(instance, DAYS[0], 'key:"consolidated_posts"')
