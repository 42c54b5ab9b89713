"""What is missing of a repository is told: by the host's word, and by commits that do not join."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky import revisions
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.jetstream import Jetstream, JetstreamReader
from bsky_assets.bluesky.revisions import Revisions
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.coverage import jumps
from bsky_assets_tests.bluesky.collecting import footers, sync
from bsky_assets_tests.bluesky.scripted_relay import CLOSE, ScriptedRelay, serve
from testbed import wire
from testbed.wire import Commit, Op

OTHER = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"


def rev(number: int) -> str:
    """The revision of a repository's commit by its number: later ones sort behind."""
    digits = "234567abcdefghijklmnopqrstuvwxyz"
    return f"3mnbxxxxxxx{digits[number // 32]}{digits[number % 32]}"


def commit(seq: int, since: int | None, now: int, did: str = wire.DID, **fields: Any) -> bytes:
    known = None if since is None else rev(since)
    op = Op("app.bsky.feed.like/3k", {"$type": "app.bsky.feed.like"})
    return Commit(seq, [op], did=did, rev=rev(now), fields={"since": known, **fields}).frame()


def said(reader: Any, *frames: bytes) -> list[tuple[str | None, str | None, str]]:
    for frame in frames:
        reader.read(frame, 1)
    reader.revisions.settle(is_whole=True)
    return [(jump.had, jump.rev, jump.shown_by) for jump in reader.revisions.take().jumps]


def test_commits_that_join_say_nothing() -> None:
    reader = FirehoseReader("relay.test")
    frames = [commit(n + 1, n, n + 1) for n in range(5)]
    others = [commit(n + 10, n, n + 1, OTHER) for n in range(5)]
    assert said(reader, *frames, *others, *frames) == []


def test_a_commit_that_goes_on_from_what_did_not_come_is_told() -> None:
    reader = FirehoseReader("relay.test")
    found = said(reader, commit(1, 0, 1), commit(2, 3, 4), commit(3, 4, 5))
    assert found == [(rev(1), rev(3), "commit")]
    assert said(reader, commit(4, 5, 6)) == []


def test_an_empty_or_too_large_commit_is_followed_too() -> None:
    reader = FirehoseReader("relay.test")
    empty = commit(2, 1, 2, ops=[])
    assert said(reader, commit(1, 0, 1), empty, commit(3, 2, 3)) == []
    assert said(reader, commit(4, 3, 5, tooBig=True)) == [(rev(3), rev(5), "too big")]
    assert said(reader, commit(5, 5, 6)) == []


def test_a_host_that_says_that_a_repository_jumped_is_believed() -> None:
    body = {"did": wire.DID, "rev": rev(9), "time": wire.TIME, "blocks": b""}
    jump = wire.message("#sync", {**body, "seq": 2})
    reader = FirehoseReader("relay.test")
    assert said(reader, commit(1, 0, 1), jump) == [(rev(1), rev(9), "sync")]
    assert said(reader, jump, commit(3, 9, 10)) == []  # sent again, it says nothing new
    assert said(FirehoseReader("relay.test"), jump) == [(None, rev(9), "sync")]


@settings(max_examples=100, deadline=None)
@given(lost=st.sets(st.integers(2, 7)))
def test_what_is_told_is_what_did_not_come(lost: set[int]) -> None:
    reader = FirehoseReader("relay.test")
    found = said(reader, *(commit(n, n - 1, n) for n in range(1, 9) if n not in lost))
    missing = {n for had, now, _ in found for n in range(1, 9) if str(had) < rev(n) <= str(now)}
    assert missing == lost


def test_two_commits_of_a_repository_swapped_are_no_jump() -> None:
    reader = FirehoseReader("relay.test")
    assert said(reader, commit(1, 0, 1), commit(3, 2, 3), commit(2, 1, 2), commit(4, 3, 4)) == []


def test_after_a_gap_in_the_stream_its_repositories_are_unknown() -> None:
    known = Revisions()
    known.follow(wire.DID, None, rev(1), wire.TIME)
    known.follow(wire.DID, rev(5), rev(6), wire.TIME)
    known.settle(is_whole=False)
    known.follow(wire.DID, rev(8), rev(9), wire.TIME)
    known.settle(is_whole=True)
    taken = known.take()
    assert (taken.jumps, taken.jump_count, taken.unfollowed) == ([], 0, 2)


def test_memory_is_bounded_and_what_is_forgotten_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revisions, "MOST_REPOSITORIES", 10)
    known = Revisions()
    for number in range(100):
        known.follow(f"did:plc:{number}", None, rev(1), wire.TIME)
        known.settle(is_whole=True)
        assert len(known.last) + len(known.older) <= 20
    assert known.take().unfollowed == 100
    monkeypatch.setattr(revisions, "MOST_LISTED", 3)
    for number in range(90, 100):
        known.jumped(f"did:plc:{number}", rev(5), wire.TIME, "sync")
    taken = known.take()
    assert (len(taken.jumps), taken.jump_count) == (3, 10)


def test_version_2_is_asked_for_jumps_and_tells_them() -> None:
    assert "kinds=sync" in Jetstream("wss://jetstream.test")._url_v2(None)
    sync_event = {"did": wire.DID, "rev": rev(9), "time": wire.TIME, "seq": 5}
    payload = {
        "$type": "network.bsky.jetstream.subscribeEvents#sync",
        "did": wire.DID,
        "seq": 7,
        "time": wire.TIME,
        "sync": sync_event,
    }
    message = orjson.dumps({"$type": "message", "payload": payload})
    assert said(JetstreamReader("jetstream.test"), message) == [(None, rev(9), "sync")]


def scripts() -> Iterator[bytes]:
    yield commit(1, 0, 1)
    yield commit(2, 3, 4)
    yield wire.message(
        "#sync", {"seq": 3, "did": OTHER, "rev": rev(9), "time": wire.TIME, "blocks": b""}
    )


def test_jumps_are_in_the_segment_and_in_words(tmp_path: Path) -> None:
    with serve(ScriptedRelay([[*scripts(), CLOSE]])) as relay:
        sync(tmp_path, relay.url)
    completeness = Completeness()
    for footer in footers(tmp_path):
        completeness.add(footer)
    assert completeness.jump_count == 2
    assert completeness.events["commit"] - completeness.commits_followed == 1  # the first of all
    second, first = sorted(jumps(completeness), reverse=True)
    assert f"{wire.DID} went from {rev(1)} to {rev(3)}" in first
    assert f"{OTHER} went from a revision that we do not know to {rev(9)}" in second
    told = StreamDetails(completeness=completeness).stored()
    assert StreamDetails.model_validate(told).completeness == completeness


def test_a_first_commit_is_counted_as_it_comes_whichever_way_it_is_read() -> None:
    reader = FirehoseReader("relay.test")
    for frame in (
        commit(1, 0, 1),
        commit(2, 1, 2, OTHER),
        commit(3, 1, 2),
        commit(4, 2, 3, ops=[]),
    ):
        reader.read(frame, 1)
    reader.revisions.jumped("did:plc:cccccccccccccccccccccccc", rev(4), wire.TIME, "sync")
    assert reader.revisions.take().unfollowed == 2
    reader.revisions.settle(is_whole=False)
    reader.read(commit(5, 3, 4), 1)
    assert reader.revisions.take().unfollowed == 1
    assert reader.revisions.take().unfollowed == 0
