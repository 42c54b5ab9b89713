"""What a day says that it lacks: to a person, and to whoever makes it."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import pytest

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.commands.status import status
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import LlmLabel, RawFeedPost, RawFirehosePost
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.orchestration.unfinished import DayState, Look
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import Footer
from bsky_assets.sync_day import bounds, today
from testbed.rows import firehose_post, table

DAY = date(2026, 3, 10)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


def state(settings: Settings, day: date = DAY, at: datetime | None = None) -> DayState:
    after = bounds(day, settings.timezone)[1] + timedelta(hours=1)
    return Look(settings, at or after).state(day)


def land(settings: Settings, day: date, seq: int) -> None:
    received = bounds(day, settings.timezone)[0].isoformat()
    footer = Footer(
        FIREHOSE, "relay.test", None, seq, received, received, received, rows={"post": 1}
    )
    posts = table(RawFirehosePost, [firehose_post("did:plc:a", f"3k{seq}", seq)])
    with firehose_segments(settings).collecting() as writer:
        writer.write(day, {RawFirehosePost: posts}, footer)


def test_nothing_is_behind_where_nothing_has_landed(settings: Settings) -> None:
    assert state(settings).behind == {}
    assert list(state(settings).lines()) == []
    before_its_end = bounds(DAY, settings.timezone)[1] - timedelta(seconds=1)
    assert list(state(settings, at=before_its_end).lines()) == ["the day is not over yet"]


def test_a_feed_that_was_down_is_nothing_to_follow(settings: Settings) -> None:
    down = {"feeds": {"today": {"problem": "nobody answers"}}}
    Lake.of(settings).write(RawFeedPost, DAY, table(RawFeedPost, []), down)
    assert state(settings).behind == {}


def test_what_landed_puts_everything_behind_until_each_asset_has_it(
    settings: Settings, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake.of(settings)
    land(settings, DAY, 1)
    first = state(settings)
    assert list(first.behind)[:2] == ["raw_firehose_posts", "raw_post_deletions"]
    assert list(first.behind)[-1] == "daily_report"
    assert "has not taken in 1 segments of firehose" in first.behind["raw_firehose_posts"].why

    compact_firehose_day(con, lake, firehose_segments(settings), DAY)
    assert "raw_firehose_posts" not in state(settings).behind
    consolidate_day(con, lake, DAY)
    assert "consolidated_posts" not in state(settings).behind
    assert state(settings).news != first.news

    land(settings, DAY, 2)
    compact_firehose_day(con, lake, firehose_segments(settings), DAY)
    later = state(settings).behind["consolidated_posts"].why
    assert later.endswith(f"raw_firehose_posts of {DAY}, raw_post_deletions of {DAY}")


def test_a_partition_of_before_versions_were_recorded_is_left_as_it_is(settings: Settings) -> None:
    Lake.of(settings).write(LlmLabel, DAY, table(LlmLabel, []))
    assert "model_agreement" in state(settings).behind
    assert "llm_labels" not in state(settings).behind


def test_a_day_says_whose_posts_it_leaves_out_that_are_consolidated_nowhere(
    settings: Settings, con: duckdb.DuckDBPyConnection
) -> None:
    lake, before = Lake.of(settings), DAY - timedelta(days=3)
    post = firehose_post("did:plc:a", "3k1")
    for day in (before, DAY):
        lake.write(RawFirehosePost, day, table(RawFirehosePost, [post]))
    assert consolidate_day(con, lake, DAY).rows == 0
    assert any(str(before) in line for line in state(settings).lines())
    assert "consolidated_posts" in state(settings, before).behind
    consolidate_day(con, lake, before)
    assert not any(str(before) in line for line in state(settings).lines())


def test_the_status_names_what_days_lack(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    present = today(settings.timezone)
    past = present - timedelta(days=1)
    posts = table(RawFirehosePost, [firehose_post("did:plc:a", "3k1")])
    for day in (past, present):
        Lake.of(settings).write(RawFirehosePost, day, posts)
    status(day=None)
    told = capsys.readouterr().out
    assert f"! {past} is not finished: consolidated_posts" in told
    assert "! the day is not over yet" in told
