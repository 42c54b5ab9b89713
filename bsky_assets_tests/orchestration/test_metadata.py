"""What materialisations tell in the UI, as Dagster stores it."""

import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from dagster import DagsterInstance, MaterializeResult, TableMetadataValue, materialize

from bsky_assets.assets.daily_report import daily_report
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.orchestration.materialisation import Making, frame_table
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import firehose_post, table

DAY = date(2026, 3, 1)


def metadata(found: MaterializeResult[Any]) -> dict[str, Any]:
    return dict(found.metadata or {})


def test_what_is_missing_in_a_sample_shows_as_null() -> None:
    frame = pd.DataFrame(
        {"stopped_by": [None, "spam"], "share": [float("nan"), 0.5], "langs": [["en", "de"], []]}
    )
    shown = frame_table(frame)
    assert isinstance(shown, TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {"stopped_by": "null", "share": "null", "langs": "['en', 'de']"},
        {"stopped_by": "spam", "share": "0.5", "langs": "[]"},
    ]


def test_what_an_asset_has_to_tell_comes_before_how_it_was_stored(tmp_path: Path) -> None:
    rows = table(RawFirehosePost, [firehose_post("did:plc:a", "1")])
    lake = Lake(tmp_path)
    partition = lake.write(RawFirehosePost, DAY, rows)
    with duckdb.connect() as con:
        run = Making(RawFirehosePost, DAY, con, lake, time.monotonic())
        found = run.result(partition, gaps=0)
    names = list(metadata(found))
    assert names[:2] == ["dagster/partition_row_count", "gaps"]
    assert names.index("gaps") < names.index("bytes") < names.index("path")


def test_a_report_of_a_day_without_labels_fails_in_one_line(settings: Settings) -> None:
    with DagsterInstance.ephemeral() as instance:
        run = materialize(
            [of_settings(daily_report, settings)],
            partition_key="2026-03-01",
            instance=instance,
            resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
            raise_on_error=False,
        )
    (failure,) = run.get_step_failure_events()
    told = failure.step_failure_data.user_failure_data
    assert told
    assert told.description == (
        "2026-03-01 has no filtered_posts to report on; materialise them first"
    )
