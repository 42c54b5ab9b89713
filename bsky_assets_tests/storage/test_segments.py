"""Segments are whole or not there, and say where the stream goes on and what is missing."""

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky.accounting import OUTDATED_CURSOR, UNREADABLE, Account, Events
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.spool import Spool
from bsky_assets.contracts import RawModerationLabel
from bsky_assets.contracts.arrival import FIREHOSE, LABELS
from bsky_assets.storage import segments as segments_module
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day, vacuum_segments
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.coverage import gaps as gap_lines
from bsky_assets.storage.coverage import strays as stray_lines
from bsky_assets.storage.files import UnusableDataDirectory
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.row_groups import ROW_GROUP_BYTES
from bsky_assets.storage.segments import Footer, Mark, Segments, StreamInUse
from bsky_assets.storage.stretches import Strays
from bsky_assets.storage.timezones import OtherTimezone
from bsky_assets_tests.storage.collected import DAY, HOST, Collected
from testbed import wire
from testbed.rows import NOON, table
from testbed.wire import Commit, Op


def rows(partition: Partition) -> list[dict[str, Any]]:
    return pq.ParquetFile(partition.path).read().to_pylist()


def compact(root: Path, day: date = DAY) -> tuple[Partition, Partition]:
    with duckdb.connect() as con:
        lake, segments = Lake(root / "lake"), Segments(root / "segments", FIREHOSE)
        return compact_firehose_day(con, lake, segments, day)


def test_a_segment_gives_back_what_was_put_in(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    put = landing.land(wire.create(1, "3a"), b"garbage", wire.account(3, False, "deleted"))
    (segment,) = landing.segments.of_day(DAY)
    assert replace(segment.footer(), series="") == put
    assert put.rows == {"post": 1, "deletion": 1, "label": 0, "quarantined": 1}
    assert put.events == {"commit": 1, "account": 1}
    assert (put.follows, put.cursor, put.quarantined) == (None, 3, {"undecodable": 1})
    assert put.gaps == []


def test_the_cursor_is_read_off_the_last_segment_of_the_host(tmp_path: Path) -> None:
    Collected(tmp_path).land(wire.create(1, "3a"), wire.create(2, "3b"))
    other = Collected(tmp_path, "other.test").land(wire.create(900, "3c"))
    assert other.follows is None
    assert [gap.reason for gap in other.gaps] == ["source changed"]
    again = Collected(tmp_path).land(wire.create(3, "3d"))
    assert (again.follows, again.gaps) == (2, [])
    assert again.cursors == {HOST: 3, "other.test": 900}


def test_numbers_rise_over_days_and_nothing_is_overwritten(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    for seq, day in enumerate([DAY, DAY + timedelta(days=1), DAY], start=1):
        landing.land(wire.create(seq, f"3{seq}"), day=day)
    assert [segment.number for segment in landing.segments.of_day(DAY)] == [1, 3]
    last = landing.segments.last()
    assert last is not None
    assert (last.number, last.day, last.footer().cursor) == (3, DAY, 3)
    with landing.segments.collecting() as writer:
        writer.last = None  # as if it did not know of the others
        with pytest.raises(UnusableDataDirectory):
            writer.write(DAY, {}, last.footer())
    assert landing.segments.of_day(DAY)[0].footer().cursor == 1


def test_half_written_segments_are_not_seen_and_are_cleared_away(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    landing.land(wire.create(1, "3a"))
    half = landing.segments.folder_of(DAY) / ".0000000002.parquet.abc"
    half.write_bytes(b"PAR1")
    assert len(landing.segments.of_day(DAY)) == 1
    landing.land(wire.create(2, "3b"))
    assert not half.exists()
    assert [segment.number for segment in landing.segments.of_day(DAY)] == [1, 2]


def hold_the_lock(root: Path, held: Any) -> None:
    with Segments(root, FIREHOSE).collecting():
        held.set()
        time.sleep(60)


def test_one_process_collects_and_a_dead_one_does_not_keep_others_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold_the_lock, args=(tmp_path, held))
    process.start()
    try:
        assert held.wait(60)
        segments = Segments(tmp_path, FIREHOSE)
        assert segments.is_being_collected()
        with pytest.raises(StreamInUse, match="another process"), segments.collecting():
            pass
        with Segments(tmp_path, LABELS).collecting():
            pass
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert not segments.is_being_collected()
    with segments.collecting():
        assert segments.is_being_collected()


def test_segments_keep_to_the_timezone_of_their_days(tmp_path: Path) -> None:
    for timezone in ("America/Chicago", None, "America/Chicago"):
        with Segments(tmp_path, FIREHOSE, timezone).collecting():
            pass
    with pytest.raises(OtherTimezone), Segments(tmp_path, LABELS, "UTC").collecting():
        pass


def test_a_folder_that_cannot_be_written_to_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "segments").write_text("not a folder")
    with pytest.raises(UnusableDataDirectory, match="BSKY_DATA_DIR"):
        Collected(tmp_path).land(wire.create(1, "3a"))


STEPS = ["next"] * 12 + ["again", "garbage instead", "garbage", "skip", "back", "break"]


def _sent_again(
    data: st.DataObject, sent: list[tuple[int, str]], numbered: dict[int, set[str]]
) -> list[tuple[int, str]]:
    """One of the events `sent`; `numbered` is which came by each number, and learns of it.

    What a new host sends again by a number that the old one gave to another event looks like one
    more new host: a gap too many is told then, see docs/wire.md. So it is left out.
    """
    clear = [one for one in sent if one[1] in numbered.get(one[0], {one[1]})]
    again = [data.draw(st.sampled_from(clear))] if clear else []
    for number, instant in again:
        numbered.setdefault(number, set()).add(instant)
    return again


def covered_by_strays(strays: list[Strays]) -> set[tuple[int, int]]:
    """The gaps that there are if the strays were of another numbering."""
    ways = [[one.after, *one.numbers, one.before] for one in strays]
    return {gap for way in ways for gap in pairwise(way)}


def require_told(
    gaps: list[tuple[int, int]], found: list[Any], strays: set[tuple[int, int]]
) -> None:
    """Every gap is told in its order, or as strays; and nothing else is."""
    left = list(found)
    for gap in gaps:
        if left[:1] == [gap]:
            left.pop(0)
        else:
            assert gap in strays
    assert left == []


@settings(max_examples=400, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=60), data=st.data())
def test_every_gap_is_told_and_none_is_invented(steps: list[str], data: st.DataObject) -> None:
    """A host's stream with faults in it, some of them while we were away."""
    clock = (NOON + timedelta(seconds=10 * n) for n in count())  # further apart than any jitter
    sent: list[tuple[int, str]] = []
    numbered: dict[int, set[str]] = {}
    arrived: list[tuple[int, str | None]] = []
    gaps: list[tuple[int, int]] = []
    last, seq = None, 100_000
    footer: Footer | None = None
    found: list[tuple[int | None, int | None]] = []
    strays: list[Strays] = []

    def close(host_time: datetime) -> Footer:
        nonlocal arrived
        account = Account(FIREHOSE, HOST, footer, without_holes=True)
        while arrived:
            size = data.draw(st.integers(1, 8))
            part, arrived = arrived[:size], arrived[size:]
            account.add(Events([s for s, _ in part], [t for _, t in part], Counter()), host_time)
        closed = account.close((host_time, host_time))
        found.extend((gap.after, gap.before) for gap in closed.gaps)
        strays.extend(closed.strays)
        return closed

    unread = 0
    for step in steps:
        at = next(clock)
        if step == "again" and sent:
            arrived += _sent_again(data, sent[-5:], numbered)
            continue
        if step == "garbage":
            arrived.append((UNREADABLE, None))
            unread += 1
            continue
        if step == "break":
            footer = close(at)
            unread = 0
            continue
        jump = {"skip": data.draw(st.integers(1, 50)), "back": -data.draw(st.integers(2, 900))}
        seq = seq + 1 + jump.get(step, 0) if sent else seq
        if step == "garbage instead":
            arrived.append((UNREADABLE, None))
            unread += 1
            continue
        if last is not None and (seq <= last or seq - last - 1 > unread):
            gaps.append((last, seq))
        last, unread = seq, 0
        if step == "back":  # a new host, by whose numbers what was sent before may come again
            sent = [(number + jump["back"], time) for number, time in sent]
        sent.append((seq, at.isoformat()))
        numbered.setdefault(seq, set()).add(at.isoformat())
        arrived.append(sent[-1])
    footer = close(next(clock))
    require_told(gaps, found, covered_by_strays(strays))
    assert footer.cursor == last


def test_a_numbering_that_goes_on_just_where_the_last_one_ended_is_told_of() -> None:
    """From 8 back to 7, and a number left out: or a stray number, and nothing left out."""
    numbers = [1, 2, 3, 4, 5, 6, 7, 8, 7, 9, 10]
    times = [(NOON + timedelta(minutes=n)).isoformat() for n in range(len(numbers))]
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    account.add(Events(numbers, times, Counter()), NOON)
    completeness = Completeness()
    completeness.add(account.close((NOON, NOON)))
    assert (completeness.gap_count, completeness.stray_count) == (0, 1)
    assert list(gap_lines(completeness)) == []
    assert list(stray_lines(completeness)) == [
        "7 of relay.test came between 8 and 9, which follow each other: if these were of another "
        "numbering, the rest of it is missing"
    ]


def test_what_a_new_host_sends_again_by_its_own_numbers_is_no_gap() -> None:
    def minutes(*numbers: int) -> Events:
        """Events a minute apart, by the last digit of their numbers."""
        times = [(NOON + timedelta(minutes=number % 10)).isoformat() for number in numbers]
        return Events(list(numbers), times, Counter())

    before = Account(FIREHOSE, HOST, None, without_holes=True)
    before.add(minutes(1000), NOON)
    after = Account(FIREHOSE, HOST, before.close((NOON, NOON)), without_holes=True)
    after.add(minutes(1001, 1002, 503, 502, 503, 504), NOON)
    footer = after.close((NOON, NOON))
    assert [(gap.after, gap.before) for gap in footer.gaps] == [(1002, 503)]
    assert footer.repeated == 2


def test_an_outdated_or_unknown_cursor_is_a_gap() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    times = [wire.TIME] * 2
    account.add(Events([5, 6], times, Counter()), NOON)
    account.add(Events([OUTDATED_CURSOR, 90, 91], [None, *times], Counter()), NOON)
    account.start_anew("future cursor")
    assert account.cursor is None
    account.add(Events([3, 4], times, Counter()), NOON)
    footer = account.close((NOON, NOON))
    assert [(gap.after, gap.before, gap.reason, gap.missing) for gap in footer.gaps] == [
        (6, 90, "outdated cursor", 83),
        (91, 3, "future cursor", None),
    ]
    assert [(stretch.first, stretch.last) for stretch in footer.stretches] == [
        (5, 6),
        (90, 91),
        (3, 4),
    ]


def test_an_outdated_cursor_from_which_nothing_is_missing_is_no_gap() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    account.add(Events([5, OUTDATED_CURSOR, 6], [wire.TIME] * 3, Counter()), NOON)
    assert account.close((NOON, NOON)).gaps == []


def test_clocks_of_single_accounts_do_not_turn_the_hosts() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    odd = ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "noon", None]
    times = [odd[n % 40] if n % 40 < 4 else wire.TIME for n in range(400)]
    account.add(Events(list(range(1, 401)), times, Counter()), NOON)
    footer = account.close((NOON, NOON))
    assert footer.events_per_minute == {"2026-03-08T18:00Z": 400}
    assert footer.largest_lag_seconds == 0


def test_events_of_a_backlog_count_for_the_minutes_in_which_they_were_made() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    times: list[Any] = [f"2026-03-08T12:{n // 60:02}:{n % 60:02}.5Z" for n in range(600)]
    times[200:204] = ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "noon", None]
    account.add(Events(list(range(1, 601)), times, Counter()), NOON)
    expected = {f"2026-03-08T12:{minute:02}Z": 60 for minute in range(10)}
    expected |= {"2026-03-08T12:03Z": 56, "2026-03-08T12:09Z": 64}
    assert account.close((NOON, NOON)).events_per_minute == expected


def versions() -> Iterator[bytes]:
    path = f"{wire.POST}/3a"
    for seq, (rev, text) in enumerate(
        [("3jzfcijpj222a", "one"), ("3jzfcijpj232a", "two"), ("3jzfcijpj242a", "three")], 1
    ):
        action = "create" if seq == 1 else "update"
        yield Commit(seq, [Op(path, wire.post(text), action=action)], rev=rev).frame()


def test_a_post_has_one_row_and_lists_what_its_author_replaced(tmp_path: Path) -> None:
    first, second, third = versions()
    landing = Collected(tmp_path)
    landing.land(first, wire.create(2, "3z", "other"), first)
    landing.land(second, first)
    compact(tmp_path)
    landing.land(third, second)
    posts, _ = compact(tmp_path)
    post, other = sorted(rows(posts), key=lambda row: str(row["uri"]))
    assert post["record"]["text"] == "three"
    assert [(v["rev"], v["text"]) for v in post["earlier_versions"]] == [
        ("3jzfcijpj222a", "one"),
        ("3jzfcijpj232a", "two"),
    ]
    assert other["earlier_versions"] is None
    assert (post["action"], other["action"]) == ("create", "create")


def test_a_post_of_which_only_edits_came_is_told_from_a_new_one(tmp_path: Path) -> None:
    first, second, third = versions()
    landing = Collected(tmp_path)
    landing.land(second, third, third)
    (post,) = rows(compact(tmp_path)[0])
    assert (post["action"], post["record"]["text"]) == ("update", "three")
    landing.land(first)
    (post,) = rows(compact(tmp_path)[0])
    assert (post["action"], post["record"]["text"]) == ("create", "three")


def test_deletions_and_quarantine_are_compacted_too(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    deletion = Commit(2, [Op(f"{wire.POST}/3a", action="delete")]).frame()
    for _ in range(2):
        landing.land(wire.create(1, "3a"), deletion, b"garbage", wire.account(4, False, "deleted"))
    posts, deletions = compact(tmp_path)
    assert posts.rows == 1  # honoured at consolidation, where every source is known
    assert [(row["kind"], row["seq"]) for row in rows(deletions)] == [("post", 2), ("account", 4)]
    quarantined = Lake(tmp_path / "lake").quarantine("raw_firehose_posts", DAY)
    assert quarantined is not None
    (row,) = rows(quarantined)
    assert (row["content"], row["position"]) == (b"garbage", "after 2")


def test_a_deletion_is_one_whichever_host_sends_it(tmp_path: Path) -> None:
    """And under whichever name: the host's name changed within the day, and it sent all again."""
    statuses = [("deleted", "18:01"), ("active", "18:02"), ("deleted", "18:03")]
    for host, first, at in ((HOST, 1, NOON), ("elsewhere", 701, NOON + timedelta(hours=1))):
        op = Op(f"{wire.POST}/3a", action="delete")
        events = [
            {
                "seq": seq,
                "did": wire.DID,
                "time": f"2026-03-08T{clock}:00Z",
                "active": status == "active",
                "status": status,
            }
            for seq, (status, clock) in enumerate(statuses, first + 2)
        ]
        frames = [wire.message("#account", event) for event in events]
        again = Commit(
            first + 1, [op], rev="3jzfcijpj252a"
        ).frame()  # it was put there again between
        Collected(tmp_path, host).land(Commit(first, [op]).frame(), again, *frames, at=at)
    _, deletions = compact(tmp_path)
    assert [row["seq"] for row in rows(deletions)] == [1, 2, 3, 4, 5]
    assert [row["status"] for row in rows(deletions)[2:]] == ["deleted", "active", "deleted"]


def test_compacting_again_leaves_the_partition_as_it_is(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    landing.land(*(wire.create(n, f"3{n}") for n in range(1, 30)))
    posts, deletions = compact(tmp_path)
    assert compact(tmp_path) == (posts, deletions)
    landing.land(*(wire.create(n, f"3{n}") for n in range(30, 50)))
    step_by_step, _ = compact(tmp_path)
    at_once_root = tmp_path / "at_once"
    at_once_root.mkdir()
    (at_once_root / "segments").symlink_to(tmp_path / "segments")
    at_once, _ = compact(at_once_root)
    assert rows(step_by_step) == rows(at_once)
    assert [row["seq"] for row in rows(at_once)] == list(range(1, 50))
    assert step_by_step.details == at_once.details


def test_a_day_says_what_it_covers_and_what_is_missing(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    landing.land(wire.create(1, "3a"), wire.create(2, "3b"), wire.create(2, "3b"))
    landing.land(wire.create(3, "3c"), b"garbage", wire.create(5, "3e"))
    landing.land(wire.create(6, "3f"), wire.create(10, "3j"))
    landing.land(wire.create(11, "3k"))
    posts, _ = compact(tmp_path)
    details = posts.details["completeness"]
    assert [(s["first"], s["last"]) for s in details["stretches"]] == [(1, 6), (10, 11)]
    assert [(g["after"], g["before"], g["missing"]) for g in details["gaps"]] == [(6, 10, 3)]
    assert details["gap_count"] == 1
    assert details["missing_events"] == 3
    assert details["repeated"] == 1
    assert details["events"] == {"commit": 8}
    assert details["quarantined"] == {"undecodable": 1}
    assert sum(details["events_per_minute"].values()) == 7
    assert details["segments"] == 4
    assert details["largest_lag_seconds"] == 0


def test_a_segment_that_somebody_removed_is_a_gap(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    for seq in range(1, 4):
        landing.land(wire.create(seq, f"3{seq}"))
    landing.segments.of_day(DAY)[1].path.unlink()
    posts, _ = compact(tmp_path)
    (gap,) = posts.details["completeness"]["gaps"]
    assert (gap["after"], gap["before"], gap["missing"]) == (1, 3, 1)


def test_a_day_without_segments_is_an_empty_partition(tmp_path: Path) -> None:
    posts, deletions = compact(tmp_path)
    assert (posts.rows, deletions.rows) == (0, 0)
    assert posts.details["completeness"]["segments"] == 0


def test_labels_of_every_source_are_there_once(tmp_path: Path) -> None:
    labels = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "bot"}]}
    profile = {"$type": "app.bsky.actor.profile", "labels": labels}
    landing = Collected(tmp_path)
    landing.land(Commit(1, [Op("app.bsky.actor.profile/self", profile)]).frame())
    asked = {
        "src": "did:plc:mod",
        "uri": wire.DID,
        "val": "spam",
        "neg": False,
        "cts": NOON,
        "origin": "mod.test",
        "received_at": NOON,
    }
    taken_back = {**asked, "neg": True, "cts": NOON + timedelta(hours=1)}
    at_once = {**asked, "val": "rude"}
    both = [at_once, {**at_once, "neg": True}]  # of one instant, and not the same
    queried = table(RawModerationLabel, [asked, asked, taken_back, *both])
    lake, stream = Lake(tmp_path / "lake"), Segments(tmp_path / "segments", LABELS)
    with duckdb.connect() as con:
        for _ in range(2):
            partition = compact_labels_day(con, lake, stream, landing.segments, DAY, queried)
    assert [(row["val"], row["neg"]) for row in rows(partition)] == [
        ("bot", False),
        ("rude", False),
        ("rude", True),
        ("spam", False),
        ("spam", True),
    ]
    assert rows(partition)[0]["src"] == wire.DID


def test_times_are_instants_in_utc(tmp_path: Path) -> None:
    Collected(tmp_path).land(wire.create(1, "3a"))
    posts, _ = compact(tmp_path)
    (post,) = rows(posts)
    assert post["received_at"] == NOON
    assert post["commit_time"] == datetime(2026, 3, 8, 18, tzinfo=UTC)


def test_only_segments_that_every_partition_has_taken_in_are_removed(tmp_path: Path) -> None:
    landing, lake = Collected(tmp_path), Lake(tmp_path / "lake")
    tomorrow = DAY + timedelta(days=1)
    for seq in (1, 2):
        landing.land(wire.create(seq, f"3{seq}"))
    for seq in (3, 4):
        landing.land(wire.create(seq, f"3{seq}"), day=tomorrow)
    at_once = timedelta(seconds=-5)
    assert vacuum_segments(lake, landing.segments, at_once) == 0
    before, _ = compact(tmp_path)
    compact(tmp_path, tomorrow)
    assert vacuum_segments(lake, landing.segments, at_once) == 0  # the labels are to be had yet
    with duckdb.connect() as con:
        for day in (DAY, tomorrow):
            labels = Segments(tmp_path / "segments", LABELS)
            compact_labels_day(con, lake, labels, landing.segments, day)
    assert vacuum_segments(lake, landing.segments) == 0  # too early
    assert vacuum_segments(lake, landing.segments, at_once) > 0
    assert landing.segments.of_day(DAY) == []
    assert not landing.segments.folder_of(DAY).exists()
    assert len(landing.segments.of_day(tomorrow)) == 2  # one more, if the last is damaged
    assert compact(tmp_path)[0] == before
    assert landing.land(wire.create(5, "35"), day=tomorrow).gaps == []


def labels_too(root: Path, day: date = DAY) -> Partition:
    with duckdb.connect() as con:
        streams = (Segments(root / "segments", stream) for stream in (LABELS, FIREHOSE))
        return compact_labels_day(con, Lake(root / "lake"), *streams, day)


def aged(segments: Segments) -> None:
    """Let them look as if they had been committed a day ago."""
    for path in segments.folder.glob("sync_day=*/*.parquet"):
        os.utime(path, (time.time() - 86_400,) * 2)


def test_whoever_takes_in_the_labels_removes_what_all_have(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    for seq in range(1, 6):
        landing.land(wire.create(seq, f"3{seq}"))
    aged(landing.segments)
    labels_too(tmp_path)  # posts and deletions are to be taken in yet
    assert len(landing.segments.of_day(DAY)) == 5
    compact(tmp_path)
    labels_too(tmp_path)
    assert [segment.number for segment in landing.segments.of_day(DAY)] == [4, 5]
    landing.land(wire.create(6, "36"))
    posts, _ = compact(tmp_path)
    assert [row["seq"] for row in rows(posts)] == [1, 2, 3, 4, 5, 6]
    assert posts.details["completeness"]["gaps"] == []


def restored(root: Path, copy: Path) -> Path:
    """The lake of a data directory without its segments, in an empty place."""
    shutil.copytree(root / "lake", copy / "lake")
    return copy


@pytest.mark.parametrize("landed_after", [1, 3, 5])
def test_what_is_collected_after_a_restored_backup_is_taken_in(
    tmp_path: Path, landed_after: int
) -> None:
    landing = Collected(tmp_path / "first")
    for seq in range(1, 4):
        landing.land(wire.create(seq, f"3{seq}"))
    compact(tmp_path / "first")
    labels_too(tmp_path / "first")
    place = restored(tmp_path / "first", tmp_path / "second")
    again = Collected(place)
    wanted = {1, 2, 3}
    for seq in range(11, 11 + landed_after):
        again.land(wire.create(seq, f"3{seq}"))
        aged(again.segments)
        wanted.add(seq)
        if seq % 2:
            posts, _ = compact(place)
            labels_too(place)
    posts, _ = compact(place)
    assert {row["seq"] for row in rows(posts)} == wanted
    assert compact(place)[0] == posts


def test_older_segments_that_are_put_back_do_not_hide_what_follows_them(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    landing.land(wire.create(1, "31"))
    shutil.copytree(tmp_path / "segments", tmp_path / "older")
    for seq in (2, 3):
        landing.land(wire.create(seq, f"3{seq}"))
    compact(tmp_path)
    shutil.rmtree(tmp_path / "segments")
    shutil.copytree(tmp_path / "older", tmp_path / "segments")
    for seq in (14, 15, 16, 17):
        at = NOON + timedelta(seconds=seq)
        landing.land(wire.create(seq, f"3{seq}"), at=at)
    posts, _ = compact(tmp_path)
    assert [row["seq"] for row in rows(posts)] == [1, 2, 3, 14, 15, 16, 17]


def test_a_mark_names_the_series_and_is_believed_of_no_other(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    landing.land(wire.create(1, "31"))
    posts, _ = compact(tmp_path)
    mark = Mark(**posts.details["merged_through"][FIREHOSE])
    assert (mark.number, len(mark.series)) == (1, 16)
    assert landing.segments.after(DAY, mark) == []
    assert landing.segments.after(DAY, replace(mark, series="another")) != []


def test_segments_of_before_they_had_a_series_are_not_taken_in_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Collected(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(segments_module, "unique_id", lambda: "")
        landing.land(wire.create(1, "31"))
    posts, _ = compact(tmp_path)
    pointer = tmp_path / "lake" / "raw_firehose_posts" / f"sync_day={DAY}" / "current.json"
    stored = json.loads(pointer.read_text())
    stored["details"]["merged_through"] = {FIREHOSE: 1}
    pointer.write_text(json.dumps(stored))
    assert compact(tmp_path)[0].path == posts.path
    landing.land(wire.create(2, "32"))
    again, _ = compact(tmp_path)
    assert again.details["completeness"]["segments"] == 2


@pytest.mark.parametrize("damage", ["emptied", "halved", "its rows"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_segment_that_cannot_be_read_costs_itself_alone(
    tmp_path: Path, damage: str, number: int
) -> None:
    landing = Collected(tmp_path)
    for seq in (1, 2, 3):
        landing.land(wire.create(seq, f"3{seq}"), wire.create(seq + 10, f"3{seq}x"))
    path = landing.segments.of_day(DAY)[number - 1].path
    content = path.read_bytes()
    start = content.index(b"PAR1") + 4
    path.write_bytes(
        {
            "emptied": b"",
            "halved": content[: len(content) // 2],
            "its rows": content[:start] + b"\xff" * 400 + content[start + 400 :],
        }[damage]
    )
    posts, _ = compact(tmp_path)
    others = {1, 2, 3} - {number}
    assert {row["seq"] for row in rows(posts)} == others | {seq + 10 for seq in others}
    completeness = posts.told(StreamDetails).completeness
    assert completeness
    (lost,) = completeness.lost
    assert lost.segment == str(path)
    told = [line for line in gap_lines(completeness) if str(path) in line]
    assert len(told) == 1
    assert compact(tmp_path)[0] == posts
    goes_on = 12 if number == 3 and damage != "its rows" else 13
    assert landing.land(wire.create(14, "34")).follows == goes_on


def test_a_large_segment_is_read_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "GROUP_BYTES", 4_000)
    landing = Collected(tmp_path)
    frames = [wire.create(seq, f"3{seq:03}", "x" * 200) for seq in range(1, 101)]
    landing.land(*frames, *(bytes([255, seq]) * 300 for seq in range(20)))
    (segment,) = landing.segments.of_day(DAY)
    with pq.ParquetFile(segment.path) as file:
        assert file.num_row_groups > 8
    posts, _ = compact(tmp_path)
    assert [row["seq"] for row in rows(posts)] == list(range(1, 101))
    odd = Lake(tmp_path / "lake").quarantine("raw_firehose_posts", DAY)
    assert odd is not None
    assert len(rows(odd)) == 20


def test_quarantine_is_kept_in_parts_that_fit_into_memory(tmp_path: Path) -> None:
    landing = Collected(tmp_path)
    largest = 2 * 2**20
    for batch in range(3):
        landing.land(
            wire.create(batch + 1, f"3{batch}"),
            *(os.urandom(largest - 1) + bytes([number]) for number in range(12)),
        )
        assert compact(tmp_path)[0].rows == batch + 1
    odd = Lake(tmp_path / "lake").quarantine("raw_firehose_posts", DAY)
    assert odd is not None
    assert odd.rows == 36
    with pq.ParquetFile(odd.path) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    assert max(group.total_byte_size for group in groups) < ROW_GROUP_BYTES * 1.1
    assert sum(group.num_rows for group in groups) == 36


def test_a_segment_is_full_by_what_it_keeps_of_what_could_not_be_read(tmp_path: Path) -> None:
    reader = FirehoseReader(HOST)
    with Segments(tmp_path, FIREHOSE).collecting() as writer:
        account = Account(FIREHOSE, HOST, None, without_holes=True)
        spool = Spool(reader, account, writer, ZoneInfo("UTC"))
        frame = wire.create(1, "3a")
        reader.read(frame, 1)
        spool.begin(1)
        assert not spool.is_due(1)
        spool.room = 5_000
        reader.read(b"\xff" * 6_000, 1)
        assert spool.is_due(1)


def committed_at(root: Path, seconds: int) -> list[int]:
    """The seconds at which a spool that an event a second comes into has a segment written."""
    start, reader, times = int(NOON.timestamp()), FirehoseReader(HOST), []

    async def read() -> None:
        account = Account(FIREHOSE, HOST, None, without_holes=True)
        with Segments(root, FIREHOSE).collecting() as writer:
            spool = Spool(reader, account, writer, ZoneInfo("UTC"))
            for second in range(seconds):
                received = (start + second) * 1_000_000
                spool.begin(received)
                reader.read(wire.create(second + 1, f"3k{second}"), received)
                spool.account_for(received)
                if spool.is_due(received):
                    await spool.commit()
                    times.append(second)
            await spool.settle()

    asyncio.run(read())
    return times


def test_a_reading_commits_soon_at_first_and_later_once_a_minute(tmp_path: Path) -> None:
    """One that is killed again and again goes on, and one that runs for days leaves few files."""
    times = committed_at(tmp_path, 3_600)
    assert times[0] == 5
    waits = [after - before for before, after in pairwise(times)]
    assert waits == sorted(waits)
    assert all(wait <= 7 + before / 9 for before, wait in zip(times, waits, strict=False))
    assert len(times) < 90
    assert max(waits) <= 61
    assert [segment.number for segment in Segments(tmp_path, FIREHOSE).of_day(DAY)] == [
        *range(1, len(times) + 1)
    ]


def test_numbers_may_be_skipped_where_events_are_passed_over() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    account.add(Events([1, 2], [wire.TIME] * 2, Counter()), NOON)
    account.add(Events([5, 9, 10, 12], [wire.TIME] * 4, Counter(), passed_over=2), NOON)
    assert (account.events, account.passed_over) == (6, 2)
    gaps = account.close((NOON, NOON)).gaps
    assert [(gap.after, gap.before) for gap in gaps] == [(10, 12)]
