"""Whoever is to be forgotten leaves with rows, mentions and words; all else stays as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.forget import (
    MARK,
    PIECE,
    Subject,
    forget_in_files,
    forget_in_json,
    forget_in_lake,
    forget_in_segments,
    has_piece,
    subject_of,
)
from bsky_assets.consolidation.forgotten import remember_to_forget, seen_again
from bsky_assets.contracts import (
    ConsolidatedPost,
    LeftOut,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.segments import Footer, Segments
from bsky_assets.storage.stretches import Jump
from testbed.rows import (
    NOON,
    feed_post,
    firehose_post,
    post_deletion,
    post_uri,
    record,
    table,
)

DAY = date(2026, 3, 8)
NEXT = date(2026, 3, 9)
ANN, BOB, CAROL = (f"did:plc:{name:a<24}" for name in ("ann", "bob", "carol"))
SAID = "what only she has ever said"
BEFORE = "and what she had said before"
SHOWN = "words that a feed showed"
CALLED = "Ann who lives by the sea"
QUOTED = f"ask @ann.test or {ANN} about it"


def aside(number: int, content: str) -> dict[str, object]:
    return {
        "source": "raw_firehose_posts", "origin": "relay.test", "position": str(number),
        "reason": "bad_field", "detail": "odd", "content": content.encode(),
        "received_at": datetime(2026, 3, 8, 18, tzinfo=UTC),
    }  # fmt: skip


def posts() -> list[dict[str, Any]]:
    earlier = [{"cid": "bafy0", "rev": "3k", "text": BEFORE}]
    return [
        firehose_post(BOB, "3ka", record=record("first, and about nobody")),
        firehose_post(ANN, "3kb", record=record(SAID), earlier_versions=earlier),
        firehose_post(BOB, "3kc", record=record(QUOTED)),
        firehose_post(ANN, "3kd", record=record("short")),
        firehose_post(CAROL, "3ke", record=record("last, and about nobody")),
    ]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


@pytest.fixture
def lake(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, posts()))
    author = {"did": ANN, "handle": "ann.test", "display_name": CALLED}
    nameless = {"did": ANN, "handle": None, "display_name": None}
    shown = [
        {**feed_post(ANN, "3kf", record=record(SHOWN)), "author": author},
        {**feed_post(ANN, "3kg"), "author": nameless},
        feed_post(CAROL, "3kh", record=record("carol has words, too")),
    ]
    lake.write(RawFeedPost, DAY, table(RawFeedPost, shown))
    held = [aside(1, f"bytes of {ANN}"), aside(2, "bytes of nobody")]
    lake.write_quarantine("raw_firehose_posts", DAY, table(Quarantined, held))
    jumps = [Jump(did, None, None, "3k", "sync") for did in (ANN, CAROL)]
    told = StreamDetails(completeness=Completeness(jumps=jumps, jump_count=2))
    lake.write(RawPostDeletion, DAY, table(RawPostDeletion, []), told)
    others = [firehose_post(CAROL, "3ki", record=record("a day that she is not in"))]
    lake.write(RawFirehosePost, NEXT, table(RawFirehosePost, others))
    consolidate_day(con, lake, DAY)
    return lake


def said(con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row]) -> dict[str, str]:
    """Record key and text of the posts of the day, in the order in which they are stored."""
    rows = lake.relation(con, row, [DAY]).select("uri, record.text").fetchall()
    return {uri[-3:]: text for uri, text in rows}


def test_what_tells_of_an_account_is_what_it_wrote_and_is_called(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    subject = subject_of(con, lake, ANN)
    assert subject.names == [ANN, "ann.test"]
    assert {SAID, BEFORE, SHOWN, CALLED} <= subject.words
    assert not any("carol" in word or "nobody" in word for word in subject.words)
    post = subject_of(con, lake, post_uri(ANN, "3kb"))
    assert post.names == [post_uri(ANN, "3kb")], "who wrote it may be named"
    assert post.words == {SAID, BEFORE}


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("ann.test", "(@ann.test) and _ann.test_. So ann.test.", None),
        ("ann.test", "https://x.test/?of=%40ann.test%2Fpost&by=ann.test", None),
        ("ann.test", "joann.test, x-ann.test, sub.ann.test, ann.test.au, ann.tests", "the same"),
        ("did:web:ann.test", "did:web:ann.test: at://did:web:ann.test/x", None),
        (
            "did:web:ann.test",
            "did:web:ann.test.au did:web:ann.test:bob did:web:ann.test%3A80",
            "the same",
        ),
    ],
)
def test_who_is_called_alike_keeps_the_name(name: str, text: str, left: str | None) -> None:
    said = Subject(name).without(text)
    assert (said == text) == (left is not None)
    assert left or name not in said


def test_rows_of_an_account_go_and_where_others_name_it_the_name_goes(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    subject = subject_of(con, lake, ANN)
    before = {row: lake.current(row, DAY) for row in (RawFirehosePost, ConsolidatedPost)}
    untouched = lake.current(RawFirehosePost, NEXT)
    assert forget_in_lake(con, lake, subject) == 5
    silent = f"ask @{MARK} or {MARK} about it"
    firehose = {"3ka": "first, and about nobody", "3kc": silent, "3ke": "last, and about nobody"}
    assert list(said(con, lake, RawFirehosePost).items()) == list(firehose.items())
    assert said(con, lake, RawFeedPost) == {"3kh": "carol has words, too"}
    assert said(con, lake, ConsolidatedPost) == {**firehose, "3kh": "carol has words, too"}
    held = lake.quarantine("raw_firehose_posts", DAY)
    assert held
    assert pq.read_table(held.path)["content"].to_pylist() == [b"bytes of nobody"]
    deletions = lake.current(RawPostDeletion, DAY)
    assert deletions
    told = deletions.told(StreamDetails).completeness
    assert told
    assert [jump.did for jump in told.jumps] == [MARK, CAROL]
    for row, partition in before.items():
        after = lake.current(row, DAY)
        assert partition
        assert after
        assert after.version == partition.version, "nothing downstream is made again for it"
    assert lake.current(RawFirehosePost, NEXT) == untouched
    assert forget_in_lake(con, lake, subject) == 0


def test_what_is_written_while_it_waits_for_its_turn_stays(
    con: duckdb.DuckDBPyConnection, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [firehose_post(CAROL, "3kz", record=record("came late"))]

    @contextmanager
    def after_a_compaction(folder: Path) -> Iterator[None]:
        with exclusive(folder):
            if late and folder.name == RawFirehosePost.asset:
                lake.write(RawFirehosePost, DAY, table(RawFirehosePost, [*posts(), late.pop()]))
            yield

    monkeypatch.setattr("bsky_assets.consolidation.forget.exclusive", after_a_compaction)
    forget_in_lake(con, lake, subject_of(con, lake, ANN))
    assert [*said(con, lake, RawFirehosePost)] == ["3ka", "3kc", "3ke", "3kz"]


def test_of_a_post_that_is_forgotten_its_author_keeps_the_others(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    subject = subject_of(con, lake, post_uri(ANN, "3kb"))
    assert forget_in_lake(con, lake, subject) == 2
    kept = said(con, lake, RawFirehosePost)
    assert list(kept) == ["3ka", "3kc", "3kd", "3ke"]
    assert kept["3kc"] == QUOTED


def test_what_is_on_the_list_is_not_taken_up_again_and_the_list_names_nobody(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    came_in = "SELECT uri, author AS did FROM firehose"
    assert seen_again(con, came_in, lake) == []
    twice = [feed_post(ANN, "3kf", feed=feed) for feed in ("today", "week")]
    shown = [*twice, feed_post(ANN, "3kd"), feed_post(CAROL, "3kh"), feed_post(CAROL, "3ki")]
    lake.write(RawFeedPost, DAY, table(RawFeedPost, shown))
    lake.write(
        RawPostDeletion, DAY, table(RawPostDeletion, [post_deletion(ANN, "3kb", seq=50_000)])
    )
    for name in (ANN, post_uri(CAROL, "3kh"), ANN):
        remember_to_forget(lake, name)
    partition = consolidate_day(con, lake, DAY)
    assert partition.details["left_out"] == {"deleted": 1, "forgotten": 3}
    rows = lake.relation(con, LeftOut, [DAY]).select("uri, did, reason").fetchall()
    assert [(uri[-3:], did, reason) for uri, did, reason in rows] == [
        ("3kb", ANN, "deleted"),
        ("3kd", ANN, "forgotten"),
        ("3kf", ANN, "forgotten"),
        ("3kh", CAROL, "forgotten"),
    ]
    assert {*said(con, lake, ConsolidatedPost)} == {"3ka", "3kc", "3ke", "3ki"}
    assert seen_again(con, came_in, lake) == [ANN]
    assert seen_again(con, "SELECT uri, author.did FROM feed", lake) == [
        post_uri(CAROL, "3kh"),
        ANN,
    ]
    for path in lake.root.glob("*.json"):
        assert not any(name in path.read_text() for name in (ANN, CAROL))


def test_segments_keep_their_places_and_times_and_lose_the_rows(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    segments = Segments(tmp_path, FIREHOSE)
    instant = NOON.isoformat()
    footer = Footer(FIREHOSE, "relay.test", None, 9, None, instant, instant)
    jumps = [Jump(ANN, None, None, "3k", "sync")]
    held = [aside(1, f"bytes of {ANN}"), aside(2, "bytes of nobody")]
    whole = {
        RawFirehosePost: table(RawFirehosePost, posts()),
        Quarantined: table(Quarantined, held),
    }
    other = {RawFirehosePost: table(RawFirehosePost, posts()[4:])}
    with segments.collecting() as writer:
        writer.write(DAY, whole, replace(footer, rows={"post": 5, "quarantined": 2}))
        writer.write(DAY, other, replace(footer, rows={"post": 1}, jumps=jumps))
        writer.write(DAY, other, replace(footer, rows={"post": 1}))
    before = [(one.path.stat().st_mtime_ns, one.footer()) for one in segments.of_day(DAY)]
    untouched = segments.of_day(DAY)[2].path.read_bytes()
    subject = Subject(ANN, handles={"ann.test"})
    assert forget_in_segments(con, segments, subject) == 2
    first, second, third = segments.of_day(DAY)
    assert (first.path.stat().st_mtime_ns, first.footer()) == before[0]
    assert [one.did for one in second.footer().jumps] == [MARK]
    assert replace(second.footer(), jumps=jumps) == before[1][1]
    assert third.path.read_bytes() == untouched
    rows = first.read(RawFirehosePost, first.footer()).to_pylist()
    texts = [row["record"] and row["record"]["text"] for row in rows]
    assert texts == [
        "first, and about nobody", None, f"ask @{MARK} or {MARK} about it", None,
        "last, and about nobody",
    ]  # fmt: skip
    assert [row["author"] for row in rows] == [BOB, None, BOB, None, CAROL]
    left = first.read(Quarantined, first.footer())["content"].to_pylist()
    assert left == [None, b"bytes of nobody"]
    assert forget_in_segments(con, segments, subject) == 0


HERS = Subject(ANN, handles={"ann.test"}, words={SAID, "no more than 19 cha"})
CELLS = {
    "nothing to hide": "nothing to hide",
    f"| bob | 3 |\n| {ANN} | 4 |": f"| bob | 3 |\n{MARK}",
    f"he wrote: {SAID[:PIECE]}": MARK,
    f"he wrote: {SAID[:PIECE - 1]}.": f"he wrote: {SAID[:PIECE - 1]}.",
    "no more than 19 cha": "no more than 19 cha",
    f'{{"p0": "{SAID}", "p1": [1, "other"]}}': f'{{"p0":"{MARK}","p1":[1,"other"]}}',
    f'["{SAID}", null]': f'["{MARK}",null]',
    '{"is":  "as it was"}': '{"is":  "as it was"}',
    f"{{not JSON, and {SAID}": MARK,
}  # fmt: skip


def test_of_texts_in_files_only_lines_that_tell_of_it_go(tmp_path: Path) -> None:
    files = [tmp_path / "with.parquet", tmp_path / "without.parquet"]
    pq.write_table(pa.table({"text": [*CELLS], "number": range(len(CELLS))}), files[0])
    pq.write_table(pa.table({"text": ["nothing to hide"]}), files[1])
    untouched = files[1].read_bytes()
    assert forget_in_files(files, HERS) == 1
    left = pq.read_table(files[0])
    assert left["text"].to_pylist() == [*CELLS.values()]
    assert left["number"].to_pylist() == [*range(len(CELLS))]
    assert files[1].read_bytes() == untouched
    assert forget_in_files(files, HERS) == 0


def test_of_json_each_value_that_tells_of_it_goes_and_lines_stay_lines(tmp_path: Path) -> None:
    whole, lines, other = (tmp_path / name for name in ("a.json", "b.jsonl", "c.json"))
    drawn = [{"uri": post_uri(ANN, "3kb"), "text": SAID}, {"uri": "at://bob", "text": "hi"}]
    whole.write_bytes(orjson.dumps({"posts": drawn, "by": {SAID: 1}}))
    lines.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in drawn))
    other.write_text('{"is":  "as it was"}')
    assert forget_in_json([whole, lines, other], HERS) == 2
    left = {"uri": f"at://{MARK}/app.bsky.feed.post/3kb", "text": MARK}
    assert orjson.loads(whole.read_bytes()) == {"posts": [left, drawn[1]], "by": {MARK: 1}}
    assert [orjson.loads(line) for line in lines.read_bytes().splitlines()] == [left, drawn[1]]
    assert other.read_text() == '{"is":  "as it was"}'


def test_a_piece_is_twenty_characters_wherever_they_stand() -> None:
    pieces = Subject("x", words={SAID}).pieces()
    assert len(pieces) == len(SAID) - PIECE + 1
    for at in range(3):
        assert has_piece("." * at + SAID[-PIECE:], pieces)
        assert has_piece(SAID[:PIECE] + "." * at, pieces)
    assert not has_piece(SAID[1:PIECE], pieces)
