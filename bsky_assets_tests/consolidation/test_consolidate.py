"""Consolidation against a plain reading of its rules: a dict of posts and a loop."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from bsky_assets.consolidation.consolidate import MissingInput, consolidate_day
from bsky_assets.contracts import (
    ConsolidatedPost,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
)
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from testbed.rows import (
    NOON,
    account_status,
    feed_post,
    firehose_post,
    post_deletion,
    post_uri,
    table,
)

DAY = date(2026, 3, 8)
AUTHORS = st.sampled_from(["did:plc:ann", "did:plc:bob", "did:web:carol.example"])
RKEYS = st.sampled_from([f"3k{letter}" for letter in "abcdefgh"])
POSTS = st.tuples(AUTHORS, RKEYS)
ANN_A = ("did:plc:ann", "3ka")
STATUSES = st.sampled_from(["deleted", "takendown", "suspended", "deactivated", "active"])


def store(
    lake: Lake, day: date, *, firehose: Any = (), feed: Any = (), deletions: Any = ()
) -> None:
    lake.write(RawFirehosePost, day, table(RawFirehosePost, firehose))
    lake.write(RawFeedPost, day, table(RawFeedPost, feed))
    lake.write(RawPostDeletion, day, table(RawPostDeletion, deletions))


def consolidated(lake: Lake, day: date = DAY) -> dict[str, dict[str, Any]]:
    with duckdb.connect() as con:
        partition = consolidate_day(con, lake, day)
        rows = lake.relation(con, ConsolidatedPost, [day]).to_arrow_table().to_pylist()
    assert partition.rows == len(rows) == len({row["uri"] for row in rows})
    return {row["uri"]: row for row in rows}


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    firehose=st.lists(POSTS, unique=True, max_size=10),
    feed=st.lists(st.tuples(POSTS, st.sampled_from(["today", "week"])), unique=True, max_size=10),
    deleted=st.lists(st.tuples(POSTS, st.integers(0, 30)), max_size=5),
    accounts=st.lists(st.tuples(AUTHORS, STATUSES), max_size=4),
    yesterday=st.lists(POSTS, unique=True, max_size=4),
    tomorrow=st.lists(POSTS, max_size=3),
)
@example(  # the record of yesterday was deleted before the key was used again: it is another post
    firehose=[ANN_A], feed=[], deleted=[(ANN_A, 5)], accounts=[], yesterday=[ANN_A], tomorrow=[]
)
def test_every_post_is_there_once_unless_a_rule_leaves_it_out(
    tmp_path_factory: pytest.TempPathFactory,
    firehose: list[tuple[str, str]],
    feed: list[tuple[tuple[str, str], str]],
    deleted: list[tuple[tuple[str, str], int]],
    accounts: list[tuple[str, str]],
    yesterday: list[tuple[str, str]],
    tomorrow: list[tuple[str, str]],
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    store(lake, DAY - timedelta(days=1), firehose=[firehose_post(*post) for post in yesterday])
    store(
        lake,
        DAY + timedelta(days=1),
        deletions=[post_deletion(*post, seq=1000) for post in tomorrow],
    )
    store(
        lake,
        DAY,
        firehose=[firehose_post(*post, seq=10 + n) for n, post in enumerate(firehose)],
        feed=[feed_post(*post, feed=name) for post, name in feed],
        deletions=[post_deletion(*post, seq=seq) for post, seq in deleted]
        + [account_status(did, status, 100 + n) for n, (did, status) in enumerate(accounts)],
    )

    def is_deleted(post: tuple[str, str], after: int) -> bool:
        return any(gone == post and seq > after for gone, seq in deleted)

    shown = {post for post, _ in feed}
    seqs = {post: 10 + n for n, post in enumerate(firehose)}
    statuses = dict(accounts)
    expected = {
        post_uri(*post)
        for post in {*firehose, *shown}
        if post not in tomorrow
        and not (post in yesterday and not is_deleted(post, 1))
        and statuses.get(post[0], "active") == "active"
        and not is_deleted(post, seqs.get(post, -1))
    }
    posts = consolidated(lake)
    assert set(posts) == expected
    for author, rkey in {*firehose, *shown}:
        if post := posts.get(post_uri(author, rkey)):
            names = sorted(name for other, name in feed if other == (author, rkey))
            from_firehose = ["firehose"] if (author, rkey) in firehose else []
            assert post["metadata"]["source_feeds"] == from_firehose + names
            assert post["metadata"]["source"] == ("most_liked" if names else "firehose")
            assert (post["metrics"] is not None) == bool(names)


def test_a_post_seen_in_the_look_back_window_is_not_taken_up_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    again = ("did:plc:ann", "3ka")
    for days_back, taken in [(8, True), (7, False), (1, False)]:
        other = Lake(tmp_path / str(days_back))
        store(other, DAY - timedelta(days=days_back), feed=[feed_post(*again)])
        store(other, DAY, feed=[feed_post(*again)])
        assert (post_uri(*again) in consolidated(other)) is taken
    store(lake, DAY, feed=[feed_post(*again)])
    assert post_uri(*again) in consolidated(lake)


def test_an_edit_of_an_older_post_is_no_new_post(tmp_path: Path) -> None:
    edited, shown = ("did:plc:ann", "3ka"), ("did:plc:ann", "3kb")
    lake = Lake(tmp_path)
    edits = [firehose_post(*post, seq=n, action="update") for n, post in enumerate((edited, shown))]
    store(lake, DAY, firehose=[*edits, firehose_post("did:plc:ann", "3kc", action="create")])
    assert set(consolidated(lake)) == {post_uri("did:plc:ann", "3kc")}
    with duckdb.connect() as con:
        assert consolidate_day(con, lake, DAY).details["left_out"] == {"edited_older_post": 2}
    store(lake, DAY + timedelta(days=1), feed=[feed_post(*shown)])  # the edit did not take it up
    assert set(consolidated(lake, DAY + timedelta(days=1))) == {post_uri(*shown)}
    store(lake, DAY, firehose=edits, feed=[feed_post(*shown)])
    assert set(consolidated(lake)) == {post_uri(*shown)}
    store(lake, DAY - timedelta(days=2), firehose=[firehose_post(*edited, action="create")])
    with duckdb.connect() as con:
        left_out = consolidate_day(con, lake, DAY).details["left_out"]
    assert left_out == {"already_consolidated": 1}


def test_the_latest_showing_gives_the_counts(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    later = NOON + timedelta(hours=1)
    store(
        lake,
        DAY,
        feed=[
            feed_post("did:plc:ann", "3ka", feed="today", like_count=3),
            feed_post("did:plc:ann", "3ka", feed="week", like_count=9, received_at=later),
        ],
    )
    (post,) = consolidated(lake).values()
    assert post["metrics"]["like_count"] == 9


def test_counts_account_for_every_row_that_came_in(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    store(
        lake,
        DAY,
        firehose=[firehose_post("did:plc:ann", f"3k{n}", seq=n) for n in range(10)],
        feed=[feed_post("did:plc:ann", f"3k{n}") for n in range(7, 12)],
        deletions=[post_deletion("did:plc:ann", "3k1", seq=50)],
    )
    with duckdb.connect() as con:
        partition = consolidate_day(con, lake, DAY)
    counts = partition.details
    assert counts["left_out"] == {"deleted": 1}
    assert partition.rows == (
        counts["firehose_posts"]
        + counts["feed_items"]
        - counts["shown_by_several_feeds"]
        - counts["in_firehose_and_feed"]
        - sum(counts["left_out"].values())
    )


def test_damage_of_other_days_is_passed_over_and_of_the_day_itself_is_told(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for ahead in (-1, 0, 1):
        posts = [firehose_post("did:plc:ann", rkey) for rkey in ("3ka", "3kb")]
        gone = [post_deletion("did:plc:ann", "3kb", seq=50)]
        shown = [feed_post("did:plc:ann", "3kc")]
        store(lake, DAY + timedelta(days=ahead), firehose=posts, feed=shown, deletions=gone)

    def damage(row: type[Row], day: date) -> None:
        partition = lake.current(row, day)
        assert partition
        Path(str(partition.path)).write_bytes(b"not to be read")

    for row in (RawFirehosePost, RawFeedPost, RawPostDeletion):
        damage(row, DAY - timedelta(days=1))
        damage(row, DAY + timedelta(days=1))
    uris = {post_uri("did:plc:ann", rkey) for rkey in ("3ka", "3kc")}
    assert set(consolidated(lake)) == uris
    damage(RawPostDeletion, DAY)
    with pytest.raises(Damaged):
        consolidated(lake)


def test_a_day_with_one_source_consolidates_and_a_day_with_none_says_so(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write(RawFeedPost, DAY, table(RawFeedPost, [feed_post("did:plc:ann", "3ka")]))
    assert len(consolidated(lake)) == 1
    with pytest.raises(MissingInput, match="nothing was collected on 2026-03-09"):
        consolidated(lake, DAY + timedelta(days=1))


def test_a_day_whose_feeds_are_down_goes_on_with_the_firehose_and_says_so_without(
    tmp_path: Path,
) -> None:
    down = {"feeds": {"today": {"problem": "feed today: nobody answers"}}}
    nothing = StreamDetails(completeness=Completeness())
    lake = Lake(tmp_path)
    lake.write(RawFeedPost, DAY, table(RawFeedPost, []), down)
    with duckdb.connect() as con:
        lake.write(RawFirehosePost, DAY, table(RawFirehosePost, []), nothing)
        with pytest.raises(MissingInput, match="feed today: nobody answers"):
            consolidate_day(con, lake, DAY)
        posts = table(RawFirehosePost, [firehose_post("did:plc:a", "3k1")])
        lake.write(RawFirehosePost, DAY, posts, nothing)
        assert consolidate_day(con, lake, DAY).rows == 1
