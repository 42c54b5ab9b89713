"""Streams that break in every way are read whole, and what is missing is told."""

import asyncio
import logging
import math
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import trustme

from bsky_assets.bluesky import spool, streaming, websocket
from bsky_assets.bluesky.collected import firehose_segments, is_collecting, label_segments
from bsky_assets.bluesky.collector import collect, sync_firehose, sync_labels
from bsky_assets.bluesky.jetstream import Jetstream
from bsky_assets.bluesky.labels_stream import LabelStream
from bsky_assets.bluesky.relay import Relay
from bsky_assets.bluesky.streaming import Limits, NoEvents, StreamReport, Unreachable
from bsky_assets.commands.progress import report_line
from bsky_assets.contracts import RawFirehosePost, RawModerationLabel, RawPostDeletion
from bsky_assets.contracts.progress import Progress, Reporter, silent
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.files import UnusableDataDirectory
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import SegmentWriter, StreamInUse
from bsky_assets_tests.bluesky.collecting import (
    ENDLESS,
    IDLE_SECONDS,
    footers,
    settings_for,
    sync,
)
from bsky_assets_tests.bluesky.scripted_relay import (
    ABORT,
    CLOSE,
    HELD_UP,
    HELD_UP_SECONDS,
    STALL,
    Refuse,
    ScriptedRelay,
    serve,
)
from testbed import wire
from testbed.wire import Commit, Op

FIRST_WAIT, JITTER = streaming.FIRST_WAIT, streaming.JITTER


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(streaming, "JITTER", 0.01)
    monkeypatch.setattr(streaming, "FIRST_EVENT_SECONDS", 0.05)
    monkeypatch.setattr(streaming, "ANSWER_SECONDS", 100.0)
    monkeypatch.setattr(streaming, "TELL_SECONDS", 1e-12)


@pytest.fixture
def time_is_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set hardly any time passes for limits, and then more than any of them."""
    is_up = threading.Event()
    clock = SimpleNamespace(
        monotonic=lambda: time.monotonic() / 1e6 + 1_000.0 * is_up.is_set(),
        monotonic_ns=time.monotonic_ns,
        time_ns=time.time_ns,
    )
    monkeypatch.setattr(streaming, "time", clock)
    return is_up


def posts(first: int, last: int) -> list[bytes]:
    """A post an event, numbered from `first` to `last`, a second apart."""
    start = datetime(2026, 3, 8, 18, tzinfo=UTC)
    return [
        wire.create(
            seq, f"3k{seq}", f"post {seq}", time=(start + timedelta(seconds=seq)).isoformat()
        )
        for seq in range(first, last + 1)
    ]


def stored(folder: Path) -> list[str]:
    """The texts of the posts, as the day's partitions have them."""
    segments = firehose_segments(settings_for(folder, "ws://relay.test"))
    texts: list[str] = []
    with duckdb.connect() as con:
        for day in segments.days():
            partition, _ = compact_firehose_day(con, Lake(folder / "lake"), segments, day)
            rows = pq.ParquetFile(partition.path).read(columns=["record"])
            texts += [record["text"] for record in rows["record"].to_pylist()]
    return texts


def gaps(folder: Path) -> list[tuple[int | None, int | None, str]]:
    found = (gap for footer in footers(folder) for gap in footer.gaps)
    return [(gap.after, gap.before, gap.reason) for gap in found]


def expected(first: int, last: int) -> list[str]:
    return [f"post {seq}" for seq in range(first, last + 1)]


def test_a_replay_that_falls_silent_is_stored_and_done(tmp_path: Path) -> None:
    with serve(ScriptedRelay([posts(1, 10), []])) as relay:
        report = sync(tmp_path, relay.url)
    assert stored(tmp_path) == expected(1, 10)
    assert (report.events, report.rows["posts"], report.gaps) == (10, 10, 0)
    assert report.ended_by == "nothing more"
    assert relay.cursors == [None, "10"]


@pytest.mark.parametrize("place", [0, 4, 10])
def test_a_host_that_is_held_up_is_waited_for(tmp_path: Path, place: int) -> None:
    assert IDLE_SECONDS < streaming.FIRST_EVENT_SECONDS < HELD_UP_SECONDS
    script = posts(1, 10)
    script.insert(place, HELD_UP)
    with serve(ScriptedRelay([script, []])) as relay:
        assert sync(tmp_path, relay.url).ended_by == "nothing more"
    assert relay.cursors == [None, "10"]
    assert stored(tmp_path) == expected(1, 10)


def test_a_host_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "ANSWER_SECONDS", 0.4)
    with serve(ScriptedRelay([[*posts(1, 3), *[HELD_UP] * 100]])) as relay:
        assert sync(tmp_path, relay.url).ended_by == "nothing more"
    assert stored(tmp_path) == expected(1, 3)


def test_a_replay_that_is_closed_and_knows_no_cursor_is_read_a_few_times_and_done(
    tmp_path: Path,
) -> None:
    with serve(ScriptedRelay([[*posts(1, 10), CLOSE]])) as relay:
        for _ in range(2):
            report = sync(tmp_path, relay.url)
            assert report.ended_by == "nothing more"
        assert len(relay.cursors) < 10
    assert stored(tmp_path) == expected(1, 10)
    assert gaps(tmp_path) == []


def test_a_second_sync_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    with serve(ScriptedRelay([posts(1, 5), [], posts(6, 9), []])) as relay:
        sync(tmp_path, relay.url)
        sync(tmp_path, relay.url)
        assert relay.cursors == [None, "5", "5", "9"]
    assert stored(tmp_path) == expected(1, 9)
    assert gaps(tmp_path) == []


@pytest.mark.parametrize("limits", [Limits(max_posts=7), Limits(max_events=7)])
def test_a_limit_is_kept_to_the_event(tmp_path: Path, limits: Limits) -> None:
    with serve(ScriptedRelay([posts(1, 20), posts(8, 20)])) as relay:
        assert sync(tmp_path, relay.url, limits).rows["posts"] == 7
        assert stored(tmp_path) == expected(1, 7)
        sync(tmp_path, relay.url, limits)
        assert relay.cursors == [None, "7"]
    assert stored(tmp_path) == expected(1, 14)


def test_a_limit_of_time_is_kept(tmp_path: Path, time_is_up: threading.Event) -> None:
    def note(progress: Progress) -> None:
        if progress.done == 3:
            time_is_up.set()

    with serve(ScriptedRelay([posts(1, 3)])) as relay:
        report = sync_firehose(
            settings_for(tmp_path, relay.url),
            Limits(max_seconds=1),
            idle_seconds=100,
            progress=note,
        )
    assert report.ended_by == "max seconds"
    assert stored(tmp_path) == expected(1, 3)


def test_the_limits_are_by_default_those_of_the_settings(tmp_path: Path) -> None:
    with serve(ScriptedRelay([posts(1, 9)])) as relay:
        settings = settings_for(tmp_path, relay.url, sync_max_events=4)
        assert sync_firehose(settings).events == 4


BREAKS: dict[str, list[Any]] = {
    "closed": [CLOSE],
    "cut off": [ABORT],
    "error frame": [wire.error("ConsumerTooSlow", "slow"), CLOSE],
    "unknown error": [wire.error("NeverHeardOf")],
    "malformed error": [wire.cbor({"op": -1}) + wire.cbor({}), CLOSE],
    "silence": [STALL],
}


@pytest.mark.parametrize("break_", BREAKS.values(), ids=BREAKS)
def test_a_connection_that_ends_is_replaced_and_nothing_is_lost(
    tmp_path: Path, break_: list[Any]
) -> None:
    scripts = [[*posts(1, 5), *break_], [*posts(6, 9), *break_], [*posts(9, 12), *break_], []]
    with serve(ScriptedRelay(scripts)) as relay:
        report = sync(tmp_path, relay.url)
        assert relay.cursors[:4] == [None, "5", "9", "12"]
    assert stored(tmp_path) == expected(1, 12)
    assert gaps(tmp_path) == []
    assert report.reconnects == sum(len(footer.reconnects) for footer in footers(tmp_path)) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_host_that_refuses_for_a_while_is_asked_again(tmp_path: Path, status: int) -> None:
    scripts = [Refuse(status), Refuse(status, {"Retry-After": "0"}), posts(1, 3), []]
    with serve(ScriptedRelay(scripts)) as relay:
        sync(tmp_path, relay.url)
    assert stored(tmp_path) == expected(1, 3)


def test_retry_after_is_heeded(tmp_path: Path) -> None:
    scripts = [Refuse(429, {"Retry-After": "1"}), posts(1, 3)]
    with serve(ScriptedRelay(scripts)) as relay:
        began = time.monotonic()
        sync(tmp_path, relay.url, Limits(max_events=3))
        assert time.monotonic() - began >= 1


def test_a_host_that_says_no_is_not_asked_again(tmp_path: Path) -> None:
    with serve(ScriptedRelay([Refuse(404)])) as relay:
        with pytest.raises(Unreachable, match=r"HTTP 404.*BSKY_RELAY_URL"):
            sync(tmp_path, relay.url)
        assert len(relay.cursors) == 1


def test_a_host_that_is_not_there_is_told_of_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9.*BSKY_RELAY_URL") as caught:
        sync(tmp_path, "ws://127.0.0.1:9")
    assert "\n" not in str(caught.value)


def test_a_host_that_does_not_answer_in_time_is_an_error_too(tmp_path: Path) -> None:
    why = "it does not answer"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"cannot read from .*: {why}.*BSKY_RELAY_URL"):
            sync(tmp_path, url, Limits(max_seconds=0.2))


def test_a_host_that_refuses_all_the_time_is_an_error_too(
    tmp_path: Path, time_is_up: threading.Event
) -> None:
    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            time_is_up.set()

    noting = Noting()
    streaming.log.addHandler(noting)
    streaming.log.setLevel(logging.INFO)
    try:
        with serve(ScriptedRelay([Refuse(503, {"Retry-After": "99"})])) as relay:
            with pytest.raises(Unreachable, match=r"cannot read from .*: HTTP 503.*BSKY_RELAY_URL"):
                sync(tmp_path, relay.url, Limits(max_seconds=1))
            assert len(relay.cursors) == 1
    finally:
        streaming.log.removeHandler(noting)
        streaming.log.setLevel(logging.NOTSET)


def test_what_came_again_is_counted_apart(tmp_path: Path) -> None:
    with serve(ScriptedRelay([[*posts(1, 5), CLOSE], [*posts(3, 8)], []])) as relay:
        report = sync(tmp_path, relay.url)
    assert (report.events, report.again) == (8, 3)
    assert "8 events (3 more came again)" in report_line(report)
    assert stored(tmp_path) == expected(1, 8)


def test_a_host_that_goes_away_leaves_what_it_gave(tmp_path: Path) -> None:
    with serve(ScriptedRelay([[*posts(1, 4), CLOSE], Refuse(503)])) as relay:
        report = sync(tmp_path, relay.url)
    assert report.ended_by == "unreachable"
    assert stored(tmp_path) == expected(1, 4)


def test_a_host_that_never_sends_anything_is_an_error(tmp_path: Path) -> None:
    with serve(ScriptedRelay([[]])) as relay, pytest.raises(NoEvents, match="no events from"):
        sync(tmp_path, relay.url)


def until_connected(
    monkeypatch: pytest.MonkeyPatch, source: type[Relay | LabelStream], time_is_up: threading.Event
) -> None:
    """The time of limits is up as soon as a connection is made."""
    connect = source.connect

    async def connected(self: Any, client: Any, cursor: int | None) -> Any:
        socket = await connect(self, client, cursor)
        asyncio.get_running_loop().call_soon(time_is_up.set)
        return socket

    time_is_up.clear()
    monkeypatch.setattr(source, "connect", connected)


def test_a_host_that_sends_nothing_while_there_is_time_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_is_up: threading.Event
) -> None:
    short = Limits(max_seconds=0.5)
    with serve(ScriptedRelay([[]])) as relay:
        until_connected(monkeypatch, Relay, time_is_up)
        with pytest.raises(NoEvents, match=r"no events from .* in 0\.5 s.*BSKY_RELAY_URL"):
            sync_firehose(settings_for(tmp_path, relay.url), short, idle_seconds=100)
        until_connected(monkeypatch, LabelStream, time_is_up)
        report = sync_labels(settings_for(tmp_path, relay.url), short, idle_seconds=100)
    assert (report.events, report.ended_by) == (0, "max seconds")  # labels may well be rare


def test_a_known_host_with_nothing_new_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_is_up: threading.Event
) -> None:
    with serve(ScriptedRelay([posts(1, 2), []])) as relay:
        sync(tmp_path, relay.url)
        report = sync(tmp_path, relay.url)
        waited = settings_for(tmp_path, relay.url)
        until_connected(monkeypatch, Relay, time_is_up)
        other = sync_firehose(waited, Limits(max_seconds=0.2), idle_seconds=100)
    assert (report.events, report.ended_by) == (0, "nothing more")
    assert (other.events, other.ended_by) == (0, "max seconds")
    assert stored(tmp_path) == expected(1, 2)


def test_words_of_a_host_are_made_printable(tmp_path: Path) -> None:
    evil = wire.error("Evil\x1b[31m\n" * 50, "\x00" * 1000)
    with serve(ScriptedRelay([[*posts(1, 2), evil], posts(3, 4), []])) as relay:
        sync(tmp_path, relay.url)
    (reason,) = [r.reason for f in footers(tmp_path) for r in f.reconnects if "Evil" in r.reason]
    assert reason.isprintable()
    assert len(reason) <= 200


def test_a_frame_over_the_limit_is_passed_over_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LARGEST_FRAME", 100_000)
    large = wire.create(4, "3large", "x" * 150_000)
    again = [large, *posts(5, 6)]
    with serve(ScriptedRelay([[*posts(1, 3), large], again, posts(5, 6), []])) as relay:
        report = sync(tmp_path, relay.url)
        assert relay.cursors[:4] == [None, "3", "4", "6"]
    assert stored(tmp_path) == [*expected(1, 3), *expected(5, 6)]
    assert gaps(tmp_path) == []
    assert report.rows["quarantined"] == 2
    assert footers(tmp_path)[-1].quarantined == {"frame_too_large": 2}


def test_garbage_repeats_and_jumps_are_told_apart(tmp_path: Path) -> None:
    one, two, three, four = posts(1, 4)
    frames = [one, two, one, b"\xff garbage", three, three, b"\xff instead of four", *posts(5, 6)]
    frames += [*posts(20, 22), four, *posts(23, 24)]
    with serve(ScriptedRelay([frames, []])) as relay:
        report = sync(tmp_path, relay.url)
    assert set(stored(tmp_path)) == {f"post {n}" for n in (1, 2, 3, 4, 5, 6, 20, 21, 22, 23, 24)}
    assert gaps(tmp_path) == [(6, 20, "sequence jumped")]
    assert (report.rows["quarantined"], report.gaps) == (2, 1)
    # four came late, in the place of what could not be read: it had not come before
    assert sum(footer.repeated for footer in footers(tmp_path)) == 2


def test_an_outdated_cursor_is_a_gap(tmp_path: Path) -> None:
    scripts = [posts(1, 3), [], [wire.info("OutdatedCursor"), *posts(9, 10)], []]
    with serve(ScriptedRelay(scripts)) as relay:
        sync(tmp_path, relay.url)
        sync(tmp_path, relay.url)
    assert gaps(tmp_path) == [(3, 9, "outdated cursor")]
    assert stored(tmp_path) == [*expected(1, 3), *expected(9, 10)]


def test_other_numbers_behind_the_name_are_looked_through_for_our_place(tmp_path: Path) -> None:
    """The host says that our cursor is in the future: its numbers began anew."""
    start = datetime(2026, 3, 8, 18, tzinfo=UTC)
    old = posts(1001, 1005)
    future = [wire.error("FutureCursor", "cursor in the future"), CLOSE]
    frames = [
        wire.create(
            n,
            f"3k{n + 900}",
            f"post {n + 900}",
            time=(start + timedelta(seconds=n + 900)).isoformat(),
        )
        for n in range(1, 110)
        if n != 107
    ]
    with serve(ScriptedRelay([old, [], future, frames, []])) as relay:
        sync(tmp_path, relay.url)
        sync(tmp_path, relay.url)
        assert relay.cursors[2:] == ["1005", "0", "109"]
    assert set(stored(tmp_path)) == {*expected(901, 1006), *expected(1008, 1009)}
    assert gaps(tmp_path) == [(1005, 1, "future cursor"), (106, 108, "sequence jumped")]


def test_a_new_numbering_is_noticed_without_a_word_from_the_host(tmp_path: Path) -> None:
    start = datetime(2026, 3, 8, 18, tzinfo=UTC)
    later = [
        wire.create(
            n, f"3new{n}", f"new {n}", time=(start + timedelta(hours=1, seconds=n)).isoformat()
        )
        for n in range(501, 504)
    ]
    with serve(ScriptedRelay([[*posts(1000, 1005), *later], []])) as relay:
        sync(tmp_path, relay.url)
        assert relay.cursors == [None, "503"]
    assert gaps(tmp_path) == [(1005, 501, "sequence went back")]
    assert len(stored(tmp_path)) == 9


def test_another_source_is_a_gap_and_coming_back_to_the_first_is_none(tmp_path: Path) -> None:
    first, second = (
        ScriptedRelay([posts(1, 3), [], posts(4, 5), []]),
        ScriptedRelay([posts(70, 72), []]),
    )
    with serve(first), serve(second):
        for relay in (first, second, first):
            sync(tmp_path, relay.url)
    assert first.cursors == [None, "3", "3", "5"]
    assert gaps(tmp_path) == [(None, 70, "source changed")]
    assert set(stored(tmp_path)) == {*expected(1, 5), *expected(70, 72)}


def test_a_stream_over_tls_is_read_and_a_wrong_certificate_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with serve(ScriptedRelay([posts(1, 3), []]), context) as relay:
        with pytest.raises(Unreachable, match="TLS"):
            sync(tmp_path, relay.url)
        bundle = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        sync(tmp_path, relay.url)
    assert stored(tmp_path) == expected(1, 3)


def test_a_stop_ends_a_sync_with_all_of_it_committed(tmp_path: Path) -> None:
    stop = threading.Event()

    def stop_soon(progress: Progress) -> None:
        if progress.done == 5:
            stop.set()

    with serve(ScriptedRelay([posts(1, 5)])) as relay:
        report = sync_firehose(
            settings_for(tmp_path, relay.url),
            Limits(),
            idle_seconds=100,
            stop=stop,
            progress=stop_soon,
        )
    assert report.ended_by == "stop"
    assert stored(tmp_path) == expected(1, 5)


def test_segments_end_with_the_sync_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = datetime(2026, 3, 9, 5, tzinfo=UTC)  # in Chicago, an hour after the clocks changed
    ticks = iter(range(-50, 10_000))
    monkeypatch.setattr(
        streaming, "_clock_offset", lambda: int(midnight.timestamp() * 1e9) - 10**6 * -next(ticks)
    )
    monkeypatch.setattr(streaming.time, "monotonic_ns", lambda: 10**6 * next(ticks))
    with serve(ScriptedRelay([posts(1, 100), []])) as relay:
        sync(tmp_path, relay.url, Limits(max_events=100))
    segments = firehose_segments(settings_for(tmp_path, "ws://x"))
    assert segments.days() == [date(2026, 3, 8), date(2026, 3, 9)]
    for day in segments.days():
        for segment in segments.of_day(day):
            for received in received_in(segment.path):
                assert (received < midnight) == (day == date(2026, 3, 8))
    assert len(stored(tmp_path)) == 100


def received_in(path: Path) -> Iterator[datetime]:
    for row in pq.ParquetFile(path).read(columns=["post"])["post"].to_pylist():
        yield row["received_at"]


def test_when_the_disk_is_slow_less_is_read_and_nothing_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames pile up at the host, not here: it cannot send on while segments are written."""
    monkeypatch.setattr(spool, "COMMIT_BYTES", 2**20)
    written = threading.Event()
    write = SegmentWriter.write
    sent_while_writing: list[int] = []
    frames = [wire.create(n, f"3k{n}", "x" * 30_000) for n in range(1, 1001)]

    with serve(ScriptedRelay([frames, []])) as relay:

        def slow(*arguments: Any) -> Any:
            if not written.is_set():
                time.sleep(0.7)
                sent_while_writing.append(relay.sent)
                written.set()
            return write(*arguments)

        monkeypatch.setattr(SegmentWriter, "write", slow)
        sync(tmp_path, relay.url)
    assert sent_while_writing[0] * 30_000 < 20 * 2**20
    assert len(stored(tmp_path)) == 1000


def test_a_disk_that_cannot_be_written_to_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UnusableDataDirectory("no space left")

    monkeypatch.setattr(SegmentWriter, "write", full)
    with serve(ScriptedRelay([posts(1, 3)])) as relay, pytest.raises(UnusableDataDirectory):
        sync(tmp_path, relay.url)


def test_a_silent_socket_of_a_collector_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in (Relay, Jetstream):
        assert source.patience + FIRST_WAIT + JITTER < 60
    assert 1.5 * websocket.HEARTBEAT_SECONDS + FIRST_WAIT + JITTER < 60  # where no ping is answered
    three_came = threading.Event()

    def note(progress: Progress) -> None:
        if progress.done == 3:
            monkeypatch.setattr(Relay, "patience", 0.2)
            three_came.set()

    with serve(ScriptedRelay([[*posts(1, 3), three_came, *posts(4, 4)], posts(5, 7)])) as relay:
        reports = run_collector(tmp_path, relay.url, {"firehose": 7}, also=note)
        assert relay.cursors[:2] == [None, "4"]
    assert stored(tmp_path) == expected(1, 7)
    assert reports[0].ended_by == "stop"


def run_collector(
    folder: Path,
    url: str,
    enough: Mapping[str, int],
    dids: Sequence[str] = (),
    also: Reporter = silent,
) -> list[StreamReport]:
    """Collect in this thread until there are `enough` events of each stream, then send ourselves
    SIGTERM. `also` is told first how far it is."""
    left = dict(enough)

    def note(progress: Progress) -> None:
        also(progress)
        if progress.done >= left.get(progress.what, math.inf):
            del left[progress.what]
            if not left:
                os.kill(os.getpid(), signal.SIGTERM)

    return collect(settings_for(folder, url), dids=dids, progress=note)


def test_a_collector_that_is_kept_to_a_list_keeps_nothing_of_others_and_says_so(
    tmp_path: Path,
) -> None:
    other = "did:plc:" + "o" * 24
    gone = Op(f"{wire.POST}/3kgone", action="delete")
    labels = {"values": [{"val": "bot"}]}
    profile = {"$type": "app.bsky.actor.profile", "labels": labels}
    frames = [
        frame
        for number, did in enumerate((wire.DID, other))
        for frame in (
            wire.create(10 * number + 1, "3k1", f"of {number}", did=did),
            Commit(10 * number + 2, [gone], did=did).frame(),
            Commit(10 * number + 3, [Op("app.bsky.actor.profile/self", profile)], did=did).frame(),
            wire.account(10 * number + 4, active=False, status="deactivated", did=did),
        )
    ]
    with serve(ScriptedRelay([frames])) as relay:
        reports = run_collector(tmp_path, relay.url, {"firehose": 8}, [wire.DID])
    settings = settings_for(tmp_path, "ws://relay.test")
    segments = firehose_segments(settings)
    (found,) = segments.of_day(segments.days()[0])
    footer = found.footer()
    assert footer.events == {"commit": 6, "account": 2}
    assert [(gap.after, gap.before) for gap in footer.gaps] == [(4, 11)]
    for row in (RawFirehosePost, RawPostDeletion, RawModerationLabel):
        rows = found.read(row, footer).to_pylist()
        named = {one.get("author") or one.get("did") or one.get("src") for one in rows}
        assert named == {wire.DID}, row
    assert reports[0].rows["posts"] == 1
    assert stored(tmp_path) == ["of 0"]
    with duckdb.connect() as con:
        partition, _ = compact_firehose_day(con, Lake(tmp_path / "lake"), segments, found.day)
    (line,) = partition.told(StreamDetails).source_lines()
    assert "list of 1 accounts" in line


def test_a_collector_reads_both_streams_and_keeps_others_out(tmp_path: Path) -> None:
    labels = {"src": "did:plc:mod", "uri": wire.DID, "val": "spam", "cts": wire.TIME}
    frames = [wire.message("#labels", {"seq": n, "labels": [labels]}) for n in (3, 8)]
    refused: list[StreamInUse] = []

    with serve(ScriptedRelay([posts(1, 3)], labels=frames)) as relay:
        settings = settings_for(tmp_path, relay.url)

        def try_too(_: Progress) -> None:
            with pytest.raises(StreamInUse) as error:
                sync_firehose(settings)
            refused.append(error.value)
            assert is_collecting(settings)

        enough = {"firehose": 3, "labels": 2}
        firehose, label_stream = run_collector(tmp_path, relay.url, enough, also=try_too)
        assert sync_labels(settings, ENDLESS, idle_seconds=IDLE_SECONDS).rows["labels"] == 2
    assert refused
    assert not is_collecting(settings)
    assert (firehose.rows["posts"], label_stream.rows["labels"]) == (3, 2)
    last = label_segments(settings).last()
    assert last is not None
    assert last.footer().cursor == 8
    assert last.footer().gaps == []


COLLECT = """
import sys
from pathlib import Path
from bsky_assets.bluesky.collector import collect
from bsky_assets.settings import Settings
print(collect(Settings(data_dir=Path(sys.argv[1]), relay_url=sys.argv[2],
                       labeler_url=sys.argv[2].replace("ws", "http"))))
"""


def test_a_second_signal_ends_a_collector_at_once(tmp_path: Path) -> None:
    with serve(ScriptedRelay([posts(1, 3)])) as relay:
        command = [sys.executable, "-c", COLLECT, str(tmp_path), relay.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        while not relay.cursors:
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(100) < 0


def test_reconnections_are_logged_without_what_posts_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with serve(ScriptedRelay([[*posts(1, 3), CLOSE], []])) as relay:
        sync(tmp_path, relay.url)
    messages = [record.getMessage() for record in caplog.records]
    assert any("closed by the host (1000)" in message for message in messages)
    assert not any("post 1" in message for message in messages)


def test_an_update_replaces_a_post_within_the_day(tmp_path: Path) -> None:
    path = f"{wire.POST}/3a"
    update = Commit(
        2, [Op(path, wire.post("better"), action="update")], rev="3mnbxxxxxx32a"
    ).frame()
    create = Commit(1, [Op(path, wire.post("good"))], rev="3mnbxxxxxx22a").frame()
    with serve(ScriptedRelay([[create, update], []])) as relay:
        sync(tmp_path, relay.url)
    assert stored(tmp_path) == ["better"]
