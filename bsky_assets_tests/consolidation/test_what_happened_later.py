"""What happened later is decided by the repository's revisions, never by a host's numbers."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.returned import returned
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import ConsolidatedPost, RawFeedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.orchestration.staleness import stale
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.settings import Settings
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
ANN, BOB = "did:plc:ann", "did:plc:bob"
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


def uris(lake: Lake, day: date) -> set[str]:
    with duckdb.connect() as con:
        rows = lake.relation(con, ConsolidatedPost, [day]).project("uri").fetchall()
    return {uri for (uri,) in rows}


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


@pytest.mark.parametrize(("days", "taken_up"), [(7, set()), (8, {"3ka", "3kb"})])
def test_what_was_deleted_in_the_look_back_window_is_not_taken_up_where_it_is_shown_still(
    lake: Lake, days: int, taken_up: set[str]
) -> None:
    then = NOON - timedelta(days=days)
    made = {"indexed_at": then - timedelta(hours=1)}
    delete(
        lake,
        post_deletion(ANN, "3ka", **gone_at(then, seq=1)),
        account_status(BOB, "deleted", 2, event_time=then, received_at=then),
        day=then.date(),
    )
    store(lake, feed=[feed_post(ANN, "3ka", **made), feed_post(BOB, "3kb", **made)])
    assert set(consolidated(lake)) == taken_up


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


def test_a_post_was_indexed_when_a_feed_says_or_its_commit_or_else_when_it_came(lake: Lake) -> None:
    soon, late = NOON + timedelta(minutes=1), {"received_at": EVENING}
    committed = [
        firehose_post(ANN, rkey, **at(soon, **late, commit_time=time))
        for rkey, time in (("3ka", soon), ("3kb", soon), ("3kc", None))
    ]
    shown = [
        feed_post(ANN, rkey, **late, indexed_at=time)
        for rkey, time in (("3ka", NOON), ("3kd", None))
    ]
    store(lake, posts=committed, feed=shown)
    posts = consolidated(lake)
    assert {key: post["indexed_at"] for key, post in posts.items()} == {
        "3ka": NOON,
        "3kb": soon,
        "3kc": EVENING,
        "3kd": EVENING,
    }
    assert posts["3ka"]["earlier_versions"] is None


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


@pytest.mark.parametrize(("days", "taken_up"), [(1, set()), (7, set()), (8, {"3ka"})])
def test_a_post_is_of_the_day_of_the_look_back_window_on_which_it_came_with_its_account(
    lake: Lake, days: int, taken_up: set[str]
) -> None:
    back = NOON + timedelta(days=days)
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(lake, account_status(ANN, "deactivated", 1, event_time=EVENING, received_at=EVENING))
    coming = account_status(ANN, "active", 2, event_time=back, received_at=back)
    delete(lake, coming, day=back.date())
    store(lake, back.date(), feed=[feed_post(ANN, "3ka", received_at=back)])
    assert set(consolidated(lake)) == taken_up


def test_a_post_that_never_came_with_its_account_is_of_the_first_day_once_the_account_is_back(
    lake: Lake,
) -> None:
    again, back = NOON + timedelta(days=1), NOON + timedelta(days=2)
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(lake, account_status(ANN, "deactivated", 1, event_time=EVENING, received_at=EVENING))
    store(lake, again.date(), feed=[feed_post(ANN, "3ka", received_at=again)])
    assert set(consolidated(lake)) == set(consolidated(lake, again.date())) == set()
    coming = account_status(ANN, "active", 2, event_time=back, received_at=back)
    delete(lake, coming, day=back.date())
    assert set(consolidated(lake)) == {"3ka"}
    assert set(consolidated(lake, again.date())) == set(), "it is of one day only"


WEEK = [DAY + timedelta(days=ahead) for ahead in range(4)]
AUTHORS = [f"did:plc:writer{number}" for number in range(20)]
KEYS = ("3ka", "3kb")
SOME_KEYS = st.lists(st.sampled_from(KEYS), max_size=2, unique=True)
EVENTS = st.lists(st.sampled_from([*KEYS, "active", "deactivated", "suspended"]), max_size=2)


def nightly(lake: Lake) -> None:
    with duckdb.connect() as con:
        list(apply_tombstones(con, lake, lambda _: None))


@st.composite
def weeks(draw: st.DrawFn) -> list[tuple[Rows, Rows, Rows]]:
    """By day: posts of the firehose, posts of a feed, and what was deleted or came back. Nobody
    has to do with anybody else, so that many make one week: what takes long is to make its days."""
    found: list[tuple[list[Any], list[Any], list[Any]]] = [([], [], []) for _ in WEEK]
    for did in AUTHORS:
        for number, (came, shown, gone) in enumerate(found):
            noon = NOON + timedelta(days=number)
            came += [firehose_post(did, key, **at(noon)) for key in draw(SOME_KEYS)]
            shown += [
                feed_post(did, key, received_at=noon, indexed_at=noon) for key in draw(SOME_KEYS)
            ]
            for minute, what in enumerate(draw(EVENTS)):
                when = gone_at(noon + timedelta(minutes=minute - 1))
                if what in KEYS:
                    gone.append(post_deletion(did, what, 1, **when))
                else:
                    gone.append(account_status(did, what, minute, **{**when, "rev": None}))
    return [*found]


@settings(max_examples=2, deadline=None)
@given(weeks=weeks())
def test_a_day_is_as_it_would_be_made_now_or_it_is_named(
    weeks: list[tuple[Rows, Rows, Rows]],
) -> None:
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for day, (posts, feed, gone) in zip(WEEK, weeks, strict=True):
            store(lake, day, posts=posts, feed=feed)
            delete(lake, *gone, day=day)
            consolidated(lake, day)
            with freeze(day + timedelta(days=1)):
                nightly(lake)
        found = {day: uris(lake, day) for day in WEEK}
        named = {day: told.posts for day, told in returned(lake).items()}
        for day in WEEK:
            consolidated(lake, day)
        again = {day: uris(lake, day) for day in WEEK}
        assert {day: again[day] - found[day] for day in named} == {
            day: again[day] - found[day] for day in WEEK if again[day] - found[day]
        }
        assert named == {day: len(again[day] - found[day]) for day in named}
        assert [found[day] - again[day] for day in WEEK] == [set()] * len(WEEK)


@contextmanager
def freeze(day: date) -> Iterator[None]:
    """The nightly job of that day."""
    night = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    with patch("bsky_assets.consolidation.tombstones.now", lambda: night):
        yield


def test_a_day_that_posts_come_back_to_is_stale_until_it_is_made_again(
    lake: Lake, tmp_path: Path
) -> None:
    chosen = Settings(_env_file=None, data_dir=tmp_path, lake_url=str(lake.root))
    store(lake, posts=[firehose_post(ANN, "3ka", **at(NOON))])
    delete(lake, account_status(ANN, "deactivated", 1, event_time=EVENING, received_at=EVENING))
    assert set(consolidated(lake)) == set()
    back = NOON + timedelta(days=60)
    coming = account_status(ANN, "active", 2, event_time=back, received_at=back)
    delete(lake, coming, day=back.date())

    def told() -> tuple[list[str], list[str]]:
        reasons = [reason for one in stale(lake, chosen) for reason in one.reasons]
        return reasons, [*Look(chosen, back + timedelta(days=1)).state(DAY).lines()]

    nightly(lake)
    reasons, lines = told()
    assert reasons == ["1 posts have come back to the day"]
    assert (
        "1 posts have come back with their accounts since: "
        "`bsky-assets materialize --day 2026-03-08` takes them up" in lines
    )
    assert set(consolidated(lake)) == {"3ka"}
    reasons, lines = told()
    assert reasons == []
    assert not any("come back" in line for line in lines)
