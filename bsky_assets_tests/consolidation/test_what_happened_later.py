"""What happened later is decided by the repository's revisions, never by a host's numbers."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import ConsolidatedPost, RawFeedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.storage.lake import Lake
from testbed.rows import (
    NOON,
    account_status,
    feed_post,
    firehose_post,
    post_deletion,
    record,
    table,
    tid,
)

DAY = date(2026, 3, 8)
ANN = "did:plc:ann"
EVENING = NOON + timedelta(hours=4)
Rows = Iterable[Mapping[str, Any]]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def store(lake: Lake, day: date = DAY, *, posts: Rows = (), feed: Rows = ()) -> None:
    lake.write(RawFirehosePost, day, table(RawFirehosePost, posts))
    lake.write(RawFeedPost, day, table(RawFeedPost, feed))


def delete(lake: Lake, *deletions: Mapping[str, Any], day: date = DAY) -> None:
    lake.write(RawPostDeletion, day, table(RawPostDeletion, deletions))


def consolidated(lake: Lake, day: date = DAY) -> dict[str, dict[str, Any]]:
    with duckdb.connect() as con:
        consolidate_day(con, lake, day)
    return stored(lake, day)


def stored(lake: Lake, day: date = DAY) -> dict[str, dict[str, Any]]:
    with duckdb.connect() as con:
        rows = lake.relation(con, ConsolidatedPost, [day]).to_arrow_table().to_pylist()
    return {row["uri"].rpartition("/")[2]: row for row in rows}


def at(instant: datetime, **fields: Any) -> dict[str, Any]:
    """When a post was put there, and that it arrived then."""
    return {"rev": tid(instant), "commit_time": instant, "received_at": instant, **fields}


def gone_at(instant: datetime, **fields: Any) -> dict[str, Any]:
    return {"rev": tid(instant), "event_time": instant, "received_at": instant, **fields}


@pytest.mark.parametrize(
    ("posted", "gone"),
    [
        ({"seq": 31_000_000_030}, {"seq": 510}),
        ({"relay": "relay.one", "seq": 31_000_000_030}, {"relay": "relay.two", "seq": 7}),
        ({"seq": 1_773_000_000_000_000}, {"seq": 12}),
        ({"seq": 500}, {"seq": 510}),
    ],
    ids=["numbers fell", "another host name", "Jetstream v1 then v2", "same stretch"],
)
def test_a_later_deletion_counts_whatever_number_it_has(
    lake: Lake, posted: dict[str, Any], gone: dict[str, Any]
) -> None:
    both = [firehose_post(ANN, rkey, **at(NOON, **posted)) for rkey in ("3ka", "3kb")]
    store(lake, posts=both)
    before = consolidated(lake)
    deletion = post_deletion(ANN, "3ka", **gone_at(EVENING, **gone))
    delete(lake, deletion)
    with duckdb.connect() as con:
        assert [each.rows for each in apply_tombstones(con, lake, lambda _: None)] == [1]
    assert set(before) == {"3ka", "3kb"}
    assert set(stored(lake)) == set(consolidated(lake)) == {"3kb"}


def test_a_record_key_that_is_used_again_after_a_deletion_stays(lake: Lake) -> None:
    again = at(EVENING, seq=3)
    store(lake, posts=[firehose_post(ANN, "3ka", **again)])
    delete(lake, post_deletion(ANN, "3ka", **gone_at(NOON, seq=31_000_000_030)))
    assert set(consolidated(lake)) == {"3ka"}
    with duckdb.connect() as con:
        assert list(apply_tombstones(con, lake, lambda _: None)) == []


def test_a_post_is_taken_up_again_where_it_was_deleted_in_the_look_back_window(lake: Lake) -> None:
    later = DAY + timedelta(days=2)
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(lake, post_deletion(ANN, "3ka", **gone_at(EVENING, seq=1)))
    store(lake, later, posts=[firehose_post(ANN, "3ka", **at(NOON + timedelta(days=2)))])
    assert set(consolidated(lake)) == set()
    assert set(consolidated(lake, later)) == {"3ka"}


def test_without_revs_the_time_of_the_event_decides(lake: Lake) -> None:
    legacy = [
        firehose_post(ANN, rkey, **at(NOON, rev="", seq=31_000_000_030)) for rkey in ("3ka", "3kb")
    ]
    store(lake, posts=legacy, feed=[feed_post(ANN, rkey) for rkey in ("3kc", "3kd")])
    before = NOON - timedelta(hours=1)
    delete(
        lake,
        *(post_deletion(ANN, rkey, **gone_at(EVENING, seq=1)) for rkey in ("3ka", "3kc")),
        *(post_deletion(ANN, rkey, **gone_at(before, seq=2)) for rkey in ("3kb", "3kd")),
    )
    assert set(consolidated(lake)) == {"3kb", "3kd"}


def test_a_rev_from_the_future_is_later_than_nothing_and_is_counted(lake: Lake) -> None:
    soon, future = NOON + timedelta(minutes=4), NOON + timedelta(minutes=6)
    store(lake, posts=[firehose_post(ANN, rkey, **at(NOON)) for rkey in ("3ka", "3kb")])
    delete(
        lake,
        post_deletion(ANN, "3ka", seq=9, rev=tid(future), received_at=NOON),
        post_deletion(ANN, "3kb", seq=9, rev=tid(soon), received_at=NOON),
    )
    assert set(consolidated(lake)) == {"3ka"}
    store(
        lake,
        posts=[
            firehose_post(ANN, "3kc", **at(NOON, rev=tid(soon))),
            firehose_post(ANN, "3kd", **at(NOON, rev=tid(future))),
        ],
    )
    with duckdb.connect() as con:
        assert consolidate_day(con, lake, DAY).details["revs_from_the_future"] == 1


@pytest.mark.parametrize(
    ("told", "is_there"),
    [
        ([("deactivated", 31_000_000_030, NOON), ("active", 5, EVENING)], True),
        ([("active", 31_000_000_030, NOON), ("deleted", 5, EVENING)], False),
        ([("deactivated", 1, NOON), ("throttled", 2, EVENING)], False),
        ([("deactivated", 1, NOON), ("desynchronized", 2, EVENING)], False),
        ([("throttled", 1, NOON), ("active", 2, EVENING)], True),
    ],
)
def test_the_latest_status_of_an_account_is_by_its_time_and_only_active_is_there(
    lake: Lake, told: list[tuple[str, int, datetime]], is_there: bool
) -> None:
    late = EVENING + timedelta(hours=1)
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(
        lake,
        *(
            account_status(ANN, status, seq, event_time=time, received_at=late)
            for status, seq, time in told
        ),
    )
    assert ("3ka" in consolidated(lake)) is is_there


def version(text: str, cid: str) -> dict[str, Any]:
    return {"cid": cid, "record": record(text)}


def earlier(post: Mapping[str, Any]) -> list[str]:
    return [each["text"] for each in post["earlier_versions"] or []]


def test_an_edit_in_the_firehose_takes_the_place_of_what_a_feed_showed_before(lake: Lake) -> None:
    store(
        lake,
        posts=[firehose_post(ANN, "3ka", **at(EVENING, **version("B", "bafyb")))],
        feed=[feed_post(ANN, "3ka", **version("A", "bafya"), like_count=7)],
    )
    post = consolidated(lake)["3ka"]
    assert (post["record"]["text"], post["cid"], earlier(post)) == ("B", "bafyb", ["A"])
    assert post["indexed_at"] == EVENING
    assert (post["metrics"]["like_count"], post["author"]["handle"]) == (7, "someone.test")
    assert post["metadata"]["source_feeds"] == ["firehose", "today"]


def test_a_version_that_a_feed_showed_later_takes_the_place_of_the_firehoses(lake: Lake) -> None:
    store(
        lake,
        posts=[firehose_post(ANN, "3ka", **at(NOON, **version("A", "bafya")))],
        feed=[feed_post(ANN, "3ka", **version("B", "bafyb"), indexed_at=EVENING)],
    )
    post = consolidated(lake)["3ka"]
    assert (post["record"]["text"], post["cid"], earlier(post)) == ("B", "bafyb", ["A"])
    assert [each["rev"] for each in post["earlier_versions"]] == [tid(NOON)]


def test_a_version_that_the_firehose_knows_has_its_place_by_its_rev(lake: Lake) -> None:
    known = [{"cid": "bafya", "rev": tid(NOON - timedelta(hours=1)), "text": "A"}]
    newer = at(NOON, **version("B", "bafyb"), earlier_versions=known)
    shown = feed_post(ANN, "3ka", **version("A", "bafya"), indexed_at=EVENING)
    store(lake, posts=[firehose_post(ANN, "3ka", **newer)], feed=[shown])
    post = consolidated(lake)["3ka"]
    assert (post["record"]["text"], earlier(post)) == ("B", ["A"])


def test_a_version_that_was_deleted_is_no_earlier_version(lake: Lake) -> None:
    first, second = NOON - timedelta(hours=2), NOON + timedelta(hours=1)
    known = [
        {"cid": "bafya", "rev": tid(first), "text": "gone"},
        {"cid": "bafyb", "rev": tid(second), "text": "stays"},
    ]
    latest = at(EVENING, **version("last", "bafyc"), earlier_versions=known)
    store(lake, posts=[firehose_post(ANN, "3ka", **latest)])
    delete(lake, post_deletion(ANN, "3ka", **gone_at(NOON, seq=1)))
    assert earlier(consolidated(lake)["3ka"]) == ["stays"]


def test_what_only_feeds_showed_is_taken_as_it_was_shown_last(lake: Lake) -> None:
    shown = [
        feed_post(ANN, "3ka", feed="week", **version("A", "bafya")),
        feed_post(ANN, "3ka", feed="today", **version("B", "bafyb"), received_at=EVENING),
    ]
    store(lake, feed=shown)
    post = consolidated(lake)["3ka"]
    assert (post["record"]["text"], earlier(post)) == ("B", ["A"])
    assert post["metadata"]["source_feeds"] == ["today", "week"]


def test_a_post_that_was_left_out_with_its_account_is_taken_up_when_it_comes_again(
    lake: Lake,
) -> None:
    later = DAY + timedelta(days=2)
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(lake, account_status(ANN, "deactivated", 1, event_time=EVENING, received_at=EVENING))
    assert set(consolidated(lake)) == set()
    back = NOON + timedelta(days=1)
    coming = account_status(ANN, "active", 2, event_time=back, received_at=back)
    delete(lake, coming, day=DAY + timedelta(days=1))
    assert set(consolidated(lake)) == {"3ka"}, "it came on no other day yet"
    store(lake, later, feed=[feed_post(ANN, "3ka", received_at=NOON + timedelta(days=2))])
    assert set(consolidated(lake, later)) == {"3ka"}
    assert set(consolidated(lake)) == set(), "it is there once, in whatever order days are made"
    assert set(consolidated(lake, later)) == {"3ka"}
