"""What a day says of itself is in views: how it was made, and what is not in it."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import duckdb
import orjson

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import FilteredPost, RawFeedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.contracts.provenance import PROVENANCE
from bsky_assets.exports.export import export
from bsky_assets.settings import Settings
from bsky_assets.storage import catalogue
from bsky_assets.storage.lake import Lake
from testbed.rows import NOON, account_status, feed_post, firehose_post, post_deletion, table

DAY = date(2026, 3, 8)
GAP = {"host": "relay.test", "reason": "a pause", "after": 3, "before": 9, "missing": 5}


def test_each_view_tells_what_partitions_say_of_themselves(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "bsky.duckdb"
    posts = [firehose_post("did:plc:ann", f"3k{n}", seq=n) for n in range(4)]
    feeds = {"today": {"uri": "at://feed", "pages": 2, "items": 1, "ended": "the end"}}
    told = {"completeness": {"gaps": [GAP, {**GAP, "missing": None}]}}
    funnel = {
        "filter_version": "abc",
        "funnel": [
            {"filter": "english", "reached": 3, "stopped": 2, "passed": 1},
            {"filter": "bot", "reached": 1, "stopped": 0, "passed": 1},
        ],
    }
    with duckdb.connect() as con:
        lake.write(RawFirehosePost, DAY, table(RawFirehosePost, posts), told)
        lake.write(
            RawFeedPost,
            DAY,
            table(RawFeedPost, [feed_post("did:plc:ann", "3kf")]),
            {"feeds": feeds},
        )
        gone = [post_deletion("did:plc:ann", "3k1", 90)]
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, gone))
        consolidate_day(con, lake, DAY)
        gone.append(post_deletion("did:plc:ann", "3k2", 91))
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, gone))
        list(apply_tombstones(con, lake, lambda _: None))
        lake.write(FilteredPost, DAY, table(FilteredPost, []), funnel)
        chosen = Settings(_env_file=None, data_dir=tmp_path)
        out = tmp_path / "out"
        made = export(con, lake, chosen, [DAY], out, "csv", PROVENANCE)
        assert [file.rows for file in made.files] == [6, 2, 2, 1]
        assert "no rows are stored" not in (out / "README.md").read_text()
    catalogue.rebuild(lake, path)
    with duckdb.connect(str(path), read_only=True) as con:

        def rows(sql: str) -> list[tuple[object, ...]]:
            return con.sql(sql).fetchall()

        for row in PROVENANCE:
            described = con.sql(f"DESCRIBE {row.asset}").fetchall()
            assert [name for name, *_ in described] == ["sync_day", *row.model_fields]
        assert rows("SELECT dataset, rows FROM day_provenance ORDER BY dataset") == [
            ("consolidated_posts", 3),
            ("filtered_posts", 0),
            ("left_out", 2),
            ("raw_feed_posts", 1),
            ("raw_firehose_posts", 4),
            ("raw_post_deletions", 2),
        ]
        assert rows("SELECT filter, step, stopped, filter_version FROM filter_funnel") == [
            ("english", 1, 2, "abc"),
            ("bot", 2, 0, "abc"),
        ]
        assert rows("SELECT host, after_number, before_number, missing FROM firehose_gaps") == [
            ("relay.test", 3, 9, 5),
            ("relay.test", 3, 9, None),
        ]
        assert rows("SELECT sync_day, feed, uri, items FROM feeds_read") == [
            (DAY, "today", "at://feed", 1)
        ]


def test_every_post_that_came_in_is_consolidated_or_named_as_left_out_and_why(
    tmp_path: Path,
) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "bsky.duckdb"
    gone = [
        post_deletion("did:plc:ann", "3k1", 90),
        account_status("did:plc:bob", "suspended", 91),
    ]
    again = firehose_post("did:plc:ann", "3k2", seq=2)
    edited = firehose_post("did:plc:cat", "3k9", seq=9, action="update")
    posts = [firehose_post("did:plc:ann", f"3k{n}", seq=n) for n in range(5)]
    bobs = [firehose_post("did:plc:bob", "3k7", seq=7)]
    earlier, later = DAY - timedelta(days=1), NOON + timedelta(minutes=5)
    with duckdb.connect() as con:
        before = [{**again, "received_at": NOON - timedelta(days=1)}]
        lake.write(RawFirehosePost, earlier, table(RawFirehosePost, before))
        consolidate_day(con, lake, earlier)
        lake.write(RawFirehosePost, DAY, table(RawFirehosePost, [*posts, *bobs, edited]))
        shown = [feed_post("did:plc:dan", "3kf"), feed_post("did:plc:bob", "3kg")]
        lake.write(RawFeedPost, DAY, table(RawFeedPost, shown))
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, gone))
        consolidate_day(con, lake, DAY)
        gone.append(post_deletion("did:plc:ann", "3k4", 92, received_at=later))
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, gone))
        for _ in range(2):
            list(apply_tombstones(con, lake, lambda _: None))
    catalogue.rebuild(lake, path)
    with duckdb.connect(str(path), read_only=True) as con:
        named = con.sql("SELECT uri, reason FROM left_out ORDER BY uri").fetchall()
        known = con.sql("SELECT reason, count(*) FROM left_out GROUP BY reason").fetchall()
        ((missing,),) = con.sql(
            """
            SELECT list(uri ORDER BY uri) FROM (
                (SELECT uri FROM raw_firehose_posts UNION SELECT uri FROM raw_feed_posts)
                EXCEPT FROM (SELECT uri FROM consolidated_posts WHERE sync_day = DATE '2026-03-08')
            )
            """
        ).fetchall()
        ((details,),) = con.sql(
            "SELECT details FROM day_provenance "
            "WHERE dataset = 'consolidated_posts' AND sync_day = DATE '2026-03-08'"
        ).fetchall()
    assert [(uri.rpartition("/")[2], reason) for uri, reason in named] == [
        ("3k1", "deleted"),
        ("3k2", "already_consolidated"),
        ("3k4", "deleted"),
        ("3k7", "account_suspended"),
        ("3kg", "account_suspended"),
        ("3k9", "edited_older_post"),
    ]
    assert [uri for uri, _ in named] == missing
    told = orjson.loads(details)
    since = Counter(told["removed_since"][0]["posts_by_reason"])
    assert Counter(dict(known)) == Counter(told["left_out"]) + since
