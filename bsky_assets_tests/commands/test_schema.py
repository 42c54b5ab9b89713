"""What `bsky-assets schema` says of columns and stored days, and making stale days again."""

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import orjson
import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance, build_sensor_context

from bsky_assets.commands.running import DayFailed, materialize_day
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.lineage import impact
from bsky_assets.definitions import build_defs, defs
from bsky_assets.filters.chain import filter_day
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.orchestration.refresh import stale_days
from bsky_assets.orchestration.staleness import stale
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.scratch_copy import TOUCHED, scratch_copy
from testbed.rows import feed_post, firehose_post, post_deletion, record, table

DAY = date(2026, 3, 8)
LATER = DAY + timedelta(days=1)
ENGLISH = "The city council voted last night to delay the new housing plan again."


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two days, which nobody changes."""
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("two_days"))
    for day in (DAY, LATER):
        store_day(Lake(settings.lake_dir), settings, day)
    return settings.lake_dir


@pytest.fixture
def lake(two_days: Path, settings: Settings) -> Lake:
    """A copy of its own."""
    shutil.copytree(two_days, settings.lake_dir)
    return Lake(settings.lake_dir)


def store_day(lake: Lake, settings: Settings, day: date) -> None:
    """A day of posts, consolidated and filtered."""
    posts = [firehose_post("did:plc:ann", f"3k{day}", record=record(ENGLISH))]
    lake.write(RawFirehosePost, day, table(RawFirehosePost, posts))
    lake.write(RawFeedPost, day, table(RawFeedPost, [feed_post("did:plc:bob", f"3k{day}")]))
    lake.write(RawPostDeletion, day, table(RawPostDeletion, [post_deletion("did:plc:c", "1", 1)]))
    with duckdb.connect() as con:
        consolidate_day(con, lake, day)
        filter_day(con, lake, day, settings)


def repoint(partition: Partition | None, **stored: object) -> None:
    """Let a partition say something else of itself."""
    assert partition
    pointer = partition.path.with_name("current.json")
    pointer.write_bytes(orjson.dumps({**orjson.loads(pointer.read_bytes()), **stored}))


def sections(printed: str) -> dict[str, list[str]]:
    """Indented lines under the name that stands before them."""
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if not line.startswith(" "):
            found[line.split(":")[0]] = []
        else:
            found[[*found][-1]].append(line.strip())
    return found


# --- what a column touches


def test_impact_names_assets_columns_checks_and_days(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lake: Lake,
) -> None:
    status, out, _ = run(monkeypatch, capsys, "schema", "impact", "record.text")
    assert status == 0
    found = sections(out)
    assert [*found] == [*TOUCHED]
    assert {"record.text", "is_spam", "language"} <= set(found["filtered_posts"])
    assert "is_sociopolitical" in found["llm_labels"]
    assert any("uris_are_unique" in line for line in found["consolidated_posts"])
    assert f"consolidated_posts: 2 days stored, {DAY} to {LATER}" in out
    assert "llm_labels: no day stored" in out


def test_impact_of_one_assets_column_leaves_others_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(monkeypatch, capsys, "schema", "impact", "raw_feed_posts.like_count")
    assert status == 0
    assert sections(out) == {
        "raw_feed_posts": ["like_count", "checks: feeds_are_complete, no_new_fields"],
        "consolidated_posts": [
            "metrics.like_count",
            "checks: every_raw_post_is_accounted_for, uris_are_unique",
        ],
        "filtered_posts": [
            "metrics.like_count",
            "checks: every_post_has_a_verdict, stop_rates_are_usual",
        ],
    }


def test_a_column_that_only_decides_which_rows_there_are_touches_all_that_follows() -> None:
    touched = impact("raw_post_deletions.status")
    assert touched["consolidated_posts"].columns == []
    assert touched["consolidated_posts"].rows
    assert touched["llm_labels"].rows
    assert "raw_firehose_posts" not in touched


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("record.txet", "did you mean record.text"),
        ("raw_feed_posts.record.txt", "record.text"),
        ("nonsense.at.all", "no contract has a column 'nonsense.at.all'"),
        ("", "no contract has a column ''"),
    ],
)
def test_an_unknown_column_is_refused_with_what_comes_close(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    status, out, error = run(monkeypatch, capsys, "schema", "impact", name)
    assert (status, out) == (2, "")
    assert says in error


CODE_VERSIONS = """
import json
from bsky_assets.definitions import defs
graph = defs.resolve_asset_graph()
keys = graph.get_all_asset_keys()
print(json.dumps({key.to_user_string(): graph.get(key).code_version for key in keys}))
"""
TEXT = '    text: str = Field(description="The text, verbatim'


@pytest.mark.parametrize(
    ("file", "old", "new", "marked"),
    [
        (
            "records.py",
            TEXT,
            f'    mood: str | None = Field(None, description="A mood.")\n{TEXT}',
            {*impact("record.text")},
        ),
        (
            "raw.py",
            'kind: Literal["post", "account"]',
            'kind: Literal["post", "account"] | None',
            {*impact("raw_post_deletions.kind")},
        ),
    ],
    ids=["added to the record", "retyped"],
)
def test_a_changed_contract_changes_the_versions_of_the_assets_that_impact_names(
    tmp_path: Path, file: str, old: str, new: str, marked: set[str]
) -> None:
    scratch = scratch_copy(tmp_path)
    scratch.replace(f"contracts/{file}", old, new)
    graph = defs.resolve_asset_graph()
    before = {
        key.to_user_string(): graph.get(key).code_version for key in graph.get_all_asset_keys()
    }
    after = orjson.loads(scratch.python("-c", CODE_VERSIONS).stdout)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == marked


# --- showing and comparing


def test_show_lists_every_column_with_what_it_is_made_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(monkeypatch, capsys, "schema", "show", "consolidated_posts")
    lines = out.splitlines()
    place = lines.index("metrics.like_count (BIGINT, may be null): Likes.")
    assert lines[place + 1] == "    ← raw_feed_posts.like_count"
    _, out, _ = run(monkeypatch, capsys, "schema", "show")
    assert "consolidated_posts ← raw_firehose_posts, raw_feed_posts, raw_post_deletions" in out
    status, _, error = run(monkeypatch, capsys, "schema", "show", "nothing")
    assert status == 2
    assert "raw_firehose_posts" in error


def test_diff_tells_columns_and_versions_apart(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lake: Lake,
) -> None:
    days = (str(DAY), str(LATER))
    _, out, _ = run(monkeypatch, capsys, "schema", "diff", *days)
    assert out == f"{DAY} and {LATER} have the same columns and versions\n"

    partition = lake.current(RawFeedPost, DAY)
    assert partition
    rows = pq.read_table(partition.path)
    rows = rows.drop_columns(["quote_count"]).append_column("mood", rows["cid"])
    position = rows.schema.get_field_index("like_count")
    pq.write_table(
        rows.set_column(position, "like_count", rows["like_count"].cast("string")), partition.path
    )
    repoint(partition, contract="earlier")
    filtered = lake.current(FilteredPost, LATER)
    assert filtered
    repoint(filtered, details={**filtered.details, "filter_version": "another"})
    _, out, _ = run(monkeypatch, capsys, "schema", "diff", *days)
    found = sections(out)
    assert [*found] == ["raw_feed_posts", "filtered_posts"]
    assert found["raw_feed_posts"][0].startswith("contract: earlier → ")
    assert found["raw_feed_posts"][1:] == [
        "~ like_count string → int64",
        "- mood string",
        "+ quote_count int64",
    ]
    assert found["filtered_posts"][0].endswith("→ another")

    status, _, error = run(monkeypatch, capsys, "schema", "diff", "2025-01-01", "2025-01-02")
    assert status == 1
    assert "nothing is stored" in error


# --- stale partitions


def stale_assets(lake: Lake, settings: Settings) -> set[tuple[str, date]]:
    return {(found.asset, found.day) for found in stale(lake, settings)}


def test_what_is_stored_as_it_would_be_today_is_not_stale(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lake: Lake,
    settings: Settings,
) -> None:
    assert stale_assets(lake, settings) == set()
    _, out, _ = run(monkeypatch, capsys, "schema", "stale")
    assert out == "every stored partition is as it would be made today\n"


def test_each_version_makes_its_own_partitions_stale_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lake: Lake,
    settings: Settings,
) -> None:
    lake.write(LlmLabel, DAY, table(LlmLabel, []), {"prompt_version": "p", "schema_version": "s"})
    repoint(lake.current(RawFirehosePost, DAY), contract="earlier")
    repoint(lake.current(ConsolidatedPost, LATER), lineage="earlier")
    filtered = lake.current(FilteredPost, LATER)
    assert filtered
    repoint(filtered, details={**filtered.details, "filter_version": "another"})
    assert stale_assets(lake, settings) == {
        ("raw_firehose_posts", DAY),
        ("consolidated_posts", LATER),
        ("filtered_posts", LATER),
        ("llm_labels", DAY),
    }
    _, out, _ = run(monkeypatch, capsys, "schema", "stale")
    found = sections(out)
    assert found["raw_firehose_posts"] == [f"{DAY}  the contract has changed"]
    assert found["consolidated_posts"] == [f"{LATER}  what it is made from has changed"]
    assert found["filtered_posts"][0].startswith(f"{LATER}  filter_version was another, is ")
    assert "prompt_version was p, is " in found["llm_labels"][0]


def test_what_follows_a_stale_partition_is_made_again_if_it_is_stored(
    lake: Lake, settings: Settings
) -> None:
    repoint(lake.current(ConsolidatedPost, DAY), lineage="earlier")
    wanted = ["consolidated_posts", "filtered_posts"]
    assert stale_days(settings, defs.resolve_asset_graph()) == {DAY: wanted}
    repository = build_defs(settings).get_repository_def()
    sensor = repository.get_sensor_def("refresh_stale")
    with DagsterInstance.ephemeral() as instance:
        context = build_sensor_context(instance=instance, repository_def=repository)
        (request,) = sensor.evaluate_tick(context).run_requests or []
    assert request.partition_key == DAY.isoformat()
    assert [key.to_user_string() for key in request.asset_selection or ()] == wanted


def files(lake: Lake) -> dict[tuple[str, date], str]:
    rows: tuple[type[Row], ...] = (
        RawFirehosePost, RawFeedPost, RawPostDeletion, ConsolidatedPost, FilteredPost,
    )  # fmt: skip
    return {
        (row.asset, partition.day): partition.path.name
        for row in rows
        for partition in lake.partitions(row)
    }


def test_materialize_stale_makes_these_again_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lake: Lake,
    settings: Settings,
) -> None:
    repoint(lake.current(RawFeedPost, DAY), contract="earlier")
    repoint(lake.current(ConsolidatedPost, LATER), lineage="earlier")
    before = files(lake)
    status, _, error = run(monkeypatch, capsys, "materialize", "--stale")
    assert status == 0, error
    after = files(lake)
    assert {key for key in before if before[key] != after[key]} == {
        ("raw_feed_posts", DAY),
        ("consolidated_posts", DAY),
        ("filtered_posts", DAY),
        ("consolidated_posts", LATER),
        ("filtered_posts", LATER),
    }
    assert stale_assets(lake, settings) == set()
    status, _, said = run(monkeypatch, capsys, "materialize", "--stale")
    assert (status, files(lake)) == (0, after)
    assert said == "every stored partition is as it would be made today"


def test_a_partition_with_another_column_fails_what_reads_it_with_one_line(
    lake: Lake, settings: Settings
) -> None:
    partition = lake.current(RawFeedPost, DAY)
    assert partition
    rows = pq.read_table(partition.path)
    position = rows.schema.get_field_index("like_count")
    retyped = rows.set_column(position, "like_count", rows["like_count"].cast("string"))
    pq.write_table(retyped, partition.path.with_name("part-other.parquet"))
    repoint(partition, file="part-other.parquet")
    with open_instance(settings) as instance, pytest.raises(DayFailed) as failure:
        materialize_day(instance, DAY, "consolidated_posts")
    line = "raw_feed_posts on 2026-03-08: column like_count should be int64, found string"
    assert re.sub(r"\s+", " ", str(failure.value)) == (
        f"2026-03-08: consolidated_posts failed: {line}"
    )
