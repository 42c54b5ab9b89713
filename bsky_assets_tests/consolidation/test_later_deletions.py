"""Deletions that arrive later leave every stored day, labels included, and are reported."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import (
    ConsolidatedPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
)
from bsky_assets.storage.lake import Lake
from testbed.rows import (
    account_status,
    firehose_post,
    post_deletion,
    post_uri,
    table,
)

DAY = date(2026, 3, 8)


def label(author: str, rkey: str) -> dict[str, object]:
    return {
        "uri": post_uri(author, rkey),
        "is_label_of_record": True,
        "was_successfully_labeled": True,
        "label_timestamp": datetime(2026, 3, 8, 20, tzinfo=UTC),
        "text_hash": "00",
        "question_hash": "00",
        "context": [],
        "model": "sandbox",
        "prompt_version": "p",
        "schema_version": "s",
        "parameters": "{}",
        "attempts": 1,
        "batch_size": 1,
    }


def uris(con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], day: date) -> set[str]:
    return {uri for (uri,) in lake.relation(con, row, [day]).select("uri").fetchall()}


def test_posts_deleted_later_leave_older_days_and_their_labels(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    posts = [("did:plc:ann", f"3k{n}") for n in range(5)] + [("did:plc:bob", "3kz")]
    later = DAY + timedelta(days=20)
    with duckdb.connect() as con:
        lake.write(
            RawFirehosePost,
            DAY,
            table(RawFirehosePost, [firehose_post(*p, seq=n) for n, p in enumerate(posts)]),
        )
        consolidate_day(con, lake, DAY)
        lake.write(LlmLabel, DAY, table(LlmLabel, [label(*post) for post in posts]))
        lake.write(
            RawPostDeletion,
            later,
            table(
                RawPostDeletion,
                [
                    post_deletion("did:plc:ann", "3k1", seq=900),
                    account_status("did:plc:bob", "takendown", seq=901),
                    post_deletion("did:plc:ann", "unknown", seq=902),
                ],
            ),
        )

        told: list[pa.Table] = []
        removals = list(apply_tombstones(con, lake, told.append))

        gone = {post_uri("did:plc:ann", "3k1"), post_uri("did:plc:bob", "3kz")}
        assert [set(posts["uri"].to_pylist()) for posts in told] == [gone]
        kept = {post_uri("did:plc:ann", rkey) for rkey in ("3k0", "3k2", "3k3", "3k4")}
        assert uris(con, lake, ConsolidatedPost, DAY) == kept
        assert uris(con, lake, LlmLabel, DAY) == kept
        assert {(r.partition.dataset, r.rows) for r in removals} == {
            ("consolidated_posts", 2),
            ("llm_labels", 2),
        }
        assert removals[0].reasons == {"account_takendown": 1, "deleted": 1}
        noted = removals[-1].partition.details["removed_since"]
        assert [entry["posts_by_reason"] for entry in noted] == [removals[0].reasons]
        assert list(apply_tombstones(con, lake, told.append)) == []
        assert len(told) == 1


def test_only_days_that_a_new_deletion_is_about_are_looked_into(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [DAY + timedelta(days=n) for n in range(4)]
    with duckdb.connect() as con:

        def honoured() -> list[date]:
            return [each.partition.day for each in apply_tombstones(con, lake, lambda _: None)]

        def delete(number: int, day: date) -> None:
            gone = post_deletion("did:plc:ann", f"3k{number}", seq=900 + number)
            lake.write(RawPostDeletion, day, table(RawPostDeletion, [gone]))

        for number, day in enumerate(days):
            posts = [firehose_post("did:plc:ann", f"3k{number}", seq=number)]
            lake.write(RawFirehosePost, day, table(RawFirehosePost, posts))
            consolidate_day(con, lake, day)
        delete(1, days[3])
        assert honoured() == [days[1]]
        last = lake.current(RawFirehosePost, days[3])
        assert last
        Path(str(last.path)).write_bytes(b"not to be read")
        delete(2, days[2])
        assert honoured() == [days[2]]
        assert honoured() == []


def test_what_is_damaged_keeps_no_deletion_from_what_is_whole(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    later = DAY + timedelta(days=9)
    gone = [post_deletion("did:plc:ann", "3ka", seq=900)]
    with duckdb.connect() as con:
        for day in (DAY, DAY + timedelta(days=1)):
            posts = [firehose_post("did:plc:ann", "3ka"), firehose_post("did:plc:ann", f"3k{day}")]
            lake.write(RawFirehosePost, day, table(RawFirehosePost, posts[day == DAY :]))
            consolidate_day(con, lake, day)
        for day in (later, later + timedelta(days=1)):
            lake.write(RawPostDeletion, day, table(RawPostDeletion, gone))
        for row, day in ((ConsolidatedPost, DAY), (RawPostDeletion, later)):
            partition = lake.current(row, day)
            assert partition
            Path(str(partition.path)).write_bytes(b"not to be read")
        removals = list(apply_tombstones(con, lake, lambda _: None))
        assert [one.partition.day for one in removals] == [DAY + timedelta(days=1)]


def test_an_account_that_comes_back_has_its_posts_when_the_day_is_materialised_again(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    status = [account_status("did:plc:ann", "deactivated", seq=10)]
    with duckdb.connect() as con:
        lake.write(RawFeedPost, DAY, table(RawFeedPost, []))
        lake.write(
            RawFirehosePost, DAY, table(RawFirehosePost, [firehose_post("did:plc:ann", "3ka")])
        )
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, status))
        assert consolidate_day(con, lake, DAY).rows == 0
        status.append(account_status("did:plc:ann", "active", seq=11))
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, status))
        assert consolidate_day(con, lake, DAY).rows == 1
