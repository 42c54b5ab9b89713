"""The words of what was deleted for good are nowhere in the data directory after maintenance."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import typer
from dagster import JobDefinition
from typer.testing import CliRunner

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.commands.maintain import maintain as command
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.erase import erase_deleted
from bsky_assets.consolidation.erase_segments import erase_in_segments
from bsky_assets.contracts import (
    ConsolidatedPost,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.orchestration.maintenance import maintenance
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import get_settings
from bsky_assets.storage.compaction import compact_firehose_day, news
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import Footer
from bsky_assets_tests.labelling.ledger.exchanges import exchange, slot
from testbed.rows import (
    NOON,
    account_status,
    feed_post,
    firehose_post,
    post_deletion,
    post_uri,
    record,
    table,
    tid,
)

DAY = date(2026, 3, 8)
LATER = DAY + timedelta(days=9)
SECRET = "words that nobody shall find again"
SHOWN, AT_FIRST = "what only a feed has shown", "what stood there at first"
ANN, BOB, CAROL = "did:plc:ann", "did:plc:bob", "did:plc:carol"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()


def holding(folder: Path, words: str) -> list[str]:
    """The files that hold `words`; Parquet is unpacked."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(pq.ParquetFile(path).read().to_pylist()).encode()
            if words.encode() in content:
                found.append(path.name)
    return found


def quarantined(number: int, detail: str, content: bytes) -> dict[str, object]:
    return {
        "source": "raw_firehose_posts",
        "origin": "relay.test",
        "position": str(number),
        "reason": "bad_field",
        "detail": detail,
        "content": content,
        "received_at": datetime(2026, 3, 8, 18, tzinfo=UTC),
    }


def fill(lake: Lake) -> None:
    secret, earlier = record(SECRET), NOON - timedelta(hours=1)
    used_again = {
        "rev": tid(NOON + timedelta(hours=2)),
        "received_at": NOON + timedelta(hours=2),
        "earlier_versions": [{"cid": "x", "rev": tid(earlier), "text": AT_FIRST}],
    }
    posts = [
        firehose_post(ANN, "3ka", record=secret),
        firehose_post(ANN, "3kb", record=record("stays")),
        firehose_post(ANN, "3kc", record=record("again"), **used_again),
        firehose_post(ANN, "3kh", record=secret, **used_again),
        firehose_post(BOB, "3kd", record=secret),
        firehose_post(CAROL, "3ke", record=record("may come back")),
    ]
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, posts))
    at_once = {"indexed_at": NOON + timedelta(hours=1)}
    put_again = dict.fromkeys(("indexed_at", "received_at"), NOON + timedelta(hours=2))
    shown = [
        feed_post(ANN, "3kf", record=secret, **at_once),
        feed_post(ANN, "3kg", record=record("shown"), **put_again),
    ]
    shown.append(feed_post(ANN, "3ki", record=record(SHOWN)))
    lake.write(RawFeedPost, DAY, table(RawFeedPost, shown))
    aside = [
        quarantined(1, f"a field is odd: {post_uri(ANN, '3ka')}", SECRET.encode()),
        quarantined(
            2, "a frame", b"\xa3did:plc:annx\x73app.bsky.feed.post/3kfcid" + SECRET.encode()
        ),
        quarantined(3, "a frame of bob's", b"\x00did:plc:bobf" + SECRET.encode()),
        quarantined(4, "a frame", b"did:plc:ann app.bsky.feed.post/3kb keep this"),
    ]
    lake.write_quarantine("raw_firehose_posts", DAY, table(Quarantined, aside))
    with duckdb.connect() as con:
        consolidate_day(con, lake, DAY)
    at = {hours: NOON + timedelta(hours=hours) for hours in (0.5, 1, 3)}
    gone = [
        post_deletion(ANN, rkey, 5, rev=tid(at[hours]), event_time=at[hours], received_at=at[hours])
        for rkey, hours in [
            ("3ka", 1), ("3kc", 1), ("3kf", 1), ("3kf", 0.5), ("3kg", 1), ("3kh", 3), ("3kh", 1),
            ("3ki", 1),
        ]
    ]  # fmt: skip
    gone += [account_status(BOB, "deleted", 6), account_status(CAROL, "deactivated", 7)]
    lake.write(RawPostDeletion, LATER, table(RawPostDeletion, gone))


def landed(
    rkey: str, words: str, at: int, author: str = ANN
) -> tuple[dict[type[Row], Any], Footer]:
    """A segment of two posts and what could not be read."""
    posts = [
        firehose_post(author, rkey, record=record(words)),
        firehose_post(ANN, f"4k{at}", record=record(f"stays {at}")),
    ]
    aside = [quarantined(at, "a frame", f"{post_uri(author, rkey)} {words}".encode())]
    tables: dict[type[Row], Any] = {
        RawFirehosePost: table(RawFirehosePost, posts),
        Quarantined: table(Quarantined, aside),
    }
    instant = NOON.isoformat()
    footer = Footer(FIREHOSE, "relay.test", at, at + 1, instant, instant, instant)
    return tables, replace(footer, rows={"post": 2, "quarantined": 1})


def test_segments_lose_the_words_and_nothing_else_while_a_collector_adds_to_them(
    data: Path,
) -> None:
    lake, segments = Lake.of(get_settings()), firehose_segments(get_settings())
    with segments.collecting() as writer:
        for number, (rkey, words, author) in enumerate(
            [("3ka", SECRET, ANN), ("3kd", SECRET, BOB), ("3ke", "may come back", CAROL)]
        ):
            writer.write(DAY, *landed(rkey, words, number, author))
        with duckdb.connect() as con:
            compact_firehose_day(con, lake, segments, DAY)
        gone = [
            post_deletion(ANN, "3ka", 500, received_at=NOON + timedelta(hours=1)),
            account_status(BOB, "deleted", 6),
            account_status(CAROL, "deactivated", 7),
        ]
        lake.write(RawPostDeletion, LATER, table(RawPostDeletion, gone))
        before = [(one.footer(), one.path.stat().st_mtime_ns) for one in segments.of_day(DAY)]
        untouched = segments.of_day(DAY)[2].path.read_bytes()
        assert len(holding(data, SECRET)) == 4
        told = maintain("--now")
        assert holding(data, SECRET) == [], told
        after = segments.of_day(DAY)
        assert [(one.footer(), one.path.stat().st_mtime_ns) for one in after] == before
        assert after[2].path.read_bytes() == untouched
        assert writer.write(DAY, *landed("3kz", "new", 3)).number == 4
    for number in range(4):
        assert len(holding(segments.folder, f"stays {number}")) == 1
    assert news(lake, segments, DAY)[RawFirehosePost] == segments.of_day(DAY)[3:]
    with duckdb.connect() as con:
        posts, _ = compact_firehose_day(con, lake, segments, DAY)
    assert posts.rows == 8


def test_a_segment_that_has_not_been_taken_in_brings_its_rows_without_the_words(
    data: Path,
) -> None:
    lake, segments = Lake.of(get_settings()), firehose_segments(get_settings())
    gone = post_deletion(ANN, "3ka", 500, received_at=NOON + timedelta(hours=1))
    lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [gone]))
    with segments.collecting() as writer:
        writer.write(DAY, *landed("3ka", SECRET, 0))
    maintain()
    with duckdb.connect() as con:
        compact_firehose_day(con, lake, segments, DAY)
        rows = lake.relation(con, RawFirehosePost, [DAY]).select("uri, record.text").fetchall()
    assert {uri[-3:]: text for uri, text in rows} == {"3ka": None, "4k0": "stays 0"}
    assert holding(data, SECRET) == []


def test_segments_that_are_damaged_or_gone_keep_no_other_from_being_erased(data: Path) -> None:
    lake, segments = Lake.of(get_settings()), firehose_segments(get_settings())
    with segments.collecting() as writer:
        for number, day in enumerate((DAY, DAY, LATER)):
            writer.write(day, *landed("3ka", SECRET, number))
    gone = post_deletion(ANN, "3ka", 500, received_at=NOON + timedelta(hours=1))
    lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [gone]))
    damaged, taken_in = segments.of_day(DAY)
    damaged.path.write_bytes(b"PAR1")
    seen = segments.seen_once()
    assert len(seen.of_day(DAY)) == 2
    taken_in.path.unlink()
    with duckdb.connect() as con:
        assert erase_in_segments(con, lake, seen) == 2
    damaged.path.unlink()
    assert holding(segments.folder, SECRET) == []
    assert holding(segments.folder, "stays 2") == ["0000000003.parquet"]


def maintain(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_no_byte_of_the_data_directory_holds_what_was_deleted_for_good(data: Path) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    assert len(holding(data, SECRET)) == 4
    told = maintain("--now")
    for words in (SECRET, SHOWN, AT_FIRST):
        assert holding(data, words) == [], told
    for words in ("stays", "again", "may come back", "shown", "keep this"):
        assert holding(data, words), words


def answered(number: int, text: str) -> None:
    """The ledger keeps what a model was asked about a post of `text`, and what it wrote."""
    with ledger_of(get_settings()).writer(DAY) as writer:
        writer.append(exchange(number, raw_answer=f"about {text}"), [slot(text)])


def test_words_of_a_post_leave_the_ledger_and_quarantine_though_its_day_was_made_without_it(
    data: Path,
) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    answered(1, SECRET)
    for number, words in enumerate(("stays", SHOWN, AT_FIRST), start=2):
        answered(number, words)
    asked = f"missing: p1; asked about {post_uri(ANN, '3kb')} {post_uri(ANN, '3ka')}"
    unread = {**quarantined(5, asked, SECRET.encode()), "source": "llm_labels"}
    lake.write_quarantine("llm_labels", DAY, table(Quarantined, [unread]))
    with duckdb.connect() as con:
        consolidate_day(con, lake, DAY)  # the nightly job has nothing to remove any more
    assert len(holding(data, SECRET)) == 6
    told = maintain("--now")
    for words in (SECRET, SHOWN, AT_FIRST):
        assert holding(data, words) == [], told
    assert len(holding(data, "about stays")) == 1


def test_a_collector_that_begins_while_a_segment_is_replaced_takes_nothing_away(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, segments = Lake.of(get_settings()), firehose_segments(get_settings())
    with segments.collecting() as writer:
        writer.write(DAY, *landed("3ka", SECRET, 0))
    gone = post_deletion(ANN, "3ka", 500, received_at=NOON + timedelta(hours=1))
    lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [gone]))
    write_table = pq.ParquetWriter.write_table
    begun: list[int] = []

    def while_a_collector_begins(self: pq.ParquetWriter, *args: Any, **options: Any) -> None:
        write_table(self, *args, **options)
        if not begun:
            begun.append(1)
            with segments.collecting() as writer:
                begun.append(writer.write(DAY, *landed("3kz", "new", 1)).number)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", while_a_collector_begins)
    with duckdb.connect() as con:
        assert erase_in_segments(con, lake, segments) == 2
    assert begun == [1, 2]
    assert holding(segments.folder, SECRET) == []
    assert len(holding(segments.folder, "stays")) == 2
    left = [path.name for path in segments.folder.rglob("*") if path.is_file()]
    assert sorted(left) == [".lock", ".replacing.lock", "0000000001.parquet", "0000000002.parquet"]


def test_of_a_deleted_post_its_row_and_place_stay_and_its_words_go(data: Path) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    before = {row: lake.current(row, DAY) for row in (RawFirehosePost, RawFeedPost)}
    maintain()
    with duckdb.connect() as con:
        posts = lake.relation(con, RawFirehosePost, [DAY]).to_arrow_table().to_pylist()
        shown = lake.relation(con, RawFeedPost, [DAY]).to_arrow_table().to_pylist()
        uris = lake.relation(con, ConsolidatedPost, [DAY]).select("uri").fetchall()
    texts = {post["uri"][-3:]: post["record"] and post["record"]["text"] for post in posts + shown}
    assert texts == {
        "3ka": None,
        "3kb": "stays",
        "3kc": "again",
        "3kd": None,
        "3ke": "may come back",
        "3kf": None,
        "3kg": "shown",
        "3kh": None,
        "3ki": None,
    }
    assert {uri[-3:] for (uri,) in uris} == {"3kb", "3kc", "3kg"}
    assert [post["author"]["handle"] for post in shown] == [None, "someone.test", None]
    for row, partition in before.items():
        after = lake.current(row, DAY)
        assert partition is not None
        assert after is not None
        assert after.rows == partition.rows
        assert after.version == partition.version, "nothing downstream is made again for it"
        assert after.path != partition.path


def test_a_partition_that_is_written_anew_meanwhile_is_erased_from_the_next_time(
    data: Path,
) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    anew = [firehose_post(ANN, "3ka", record=record(SECRET)), firehose_post(CAROL, "3kz")]

    def write(_: object) -> None:
        lake.write(RawFirehosePost, DAY, table(RawFirehosePost, anew))

    def erased(forget: Callable[[object], object]) -> dict[str, int]:
        with duckdb.connect() as con:
            return {one.partition.dataset: one.rows for one in erase_deleted(con, lake, forget)}

    assert RawFirehosePost.asset not in erased(write)
    assert erased(lambda _: None) == {RawFirehosePost.asset: 1}
    assert erased(write) == {}, "it is only asked to forget words where there are some"
    with duckdb.connect() as con:
        rows = lake.relation(con, RawFirehosePost, [DAY]).select("uri, record.text").fetchall()
    assert {uri[-3:]: text for uri, text in rows} == {"3ka": None, "3kz": "a post"}


def test_a_second_run_rewrites_nothing_and_a_day_that_came_late_is_looked_at(data: Path) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    maintain()
    paths = [lake.current(row, DAY) for row in (RawFirehosePost, RawFeedPost)]
    maintain()
    assert [lake.current(row, DAY) for row in (RawFirehosePost, RawFeedPost)] == paths
    late = [firehose_post(ANN, "3ka", record=record(SECRET))]
    lake.write(RawFirehosePost, LATER, table(RawFirehosePost, late))
    maintain("--now")
    assert holding(data, SECRET) == []


def test_the_nightly_job_erases_too(data: Path) -> None:
    lake = Lake.of(get_settings())
    fill(lake)
    resources = {"data": DataDirectory(get_settings()), "duckdb": duckdb_resource(get_settings())}
    job: JobDefinition = maintenance
    assert job.execute_in_process(resources=resources).success
    with duckdb.connect() as con:
        rows = lake.relation(con, RawFirehosePost, [DAY]).select("uri, record.text").fetchall()
    assert {uri[-3:] for uri, text in rows if text is None} == {"3ka", "3kd", "3kh"}
