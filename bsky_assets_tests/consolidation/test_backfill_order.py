"""In whatever order days are made, and however often, the rows are the same."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import ConsolidatedPost, RawFeedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.storage.lake import Lake
from testbed.rows import (
    account_status,
    feed_post,
    firehose_post,
    post_deletion,
    table,
    tid,
)

FIRST = date(2026, 3, 3)
DAYS = [FIRST + timedelta(days=ahead) for ahead in range(4)]
AUTHORS = st.sampled_from([f"did:plc:writer{number}" for number in range(12)])
KEYS = st.sampled_from(["3ka", "3kb", "3kc"])
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 23),
        AUTHORS,
        KEYS,
        st.sampled_from(["create", "update", "feed", "delete", "active", "deactivated", "deleted"]),
    ),
    min_size=60,
    max_size=90,
    unique_by=lambda event: event[:2],
)
"""Of many accounts, none of which has to do with another: what takes long is to make the days."""
Event = tuple[int, int, str, str, str]


def land(lake: Lake, history: Iterable[Event]) -> None:
    """Each day's events in its partitions, and of a post one row a source, the latest."""
    for at, day in enumerate(DAYS):
        posts: dict[tuple[str, str], Any] = {}
        shown: dict[tuple[str, str], Any] = {}
        deletions = []
        for _, hour, author, rkey, kind in sorted(each for each in history if each[0] == at):
            instant = datetime(day.year, day.month, day.day, 7, tzinfo=UTC) + timedelta(hours=hour)
            cid = f"bafy{at}{hour}"
            if kind in ("create", "update"):
                posts[author, rkey] = firehose_post(
                    author, rkey, received_at=instant, rev=tid(instant), cid=cid, action=kind
                )
            elif kind == "feed":
                shown[author, rkey] = feed_post(
                    author, rkey, received_at=instant, indexed_at=instant, cid=cid
                )
            elif kind == "delete":
                deletions.append(
                    post_deletion(author, rkey, 1, rev=tid(instant), received_at=instant)
                )
            else:
                deletions.append(account_status(author, kind, 1, received_at=instant))
        lake.write(RawFirehosePost, day, table(RawFirehosePost, posts.values()))
        lake.write(RawFeedPost, day, table(RawFeedPost, shown.values()))
        lake.write(RawPostDeletion, day, table(RawPostDeletion, deletions))


def made(lake: Lake, order: Iterable[int]) -> dict[date, list[Any]]:
    with duckdb.connect() as con:
        for at in order:
            consolidate_day(con, lake, DAYS[at])
        return {
            day: lake.relation(con, ConsolidatedPost, [day])
            .select("uri, cid, metadata.source_feeds, earlier_versions")
            .order("uri")
            .fetchall()
            for day in DAYS
        }


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    history=EVENTS,
    first=st.permutations(range(4)),
    second=st.permutations(range(4)),
    again=st.lists(st.integers(0, 3), max_size=2),
)
def test_the_order_of_a_backfill_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Event],
    first: list[int],
    second: list[int],
    again: list[int],
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    land(lake, history)
    before = made(lake, first)
    assert made(lake, [*again, *second]) == before
    uris = [uri for rows in before.values() for uri, *_ in rows]
    assert len(uris) == len(set(uris)), "a post is of one day"
