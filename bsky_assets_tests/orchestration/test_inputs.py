"""What partitions say that they were made from, and what Dagster is told of it."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
from dagster import AssetKey, TimeWindowPartitionMapping

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import ConsolidatedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.definitions import defs
from bsky_assets.storage.inputs import INPUTS, REPORT_INPUTS, made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import LOOK_BACK_DAYS
from testbed.rows import firehose_post, post_deletion, table

DAY = date(2026, 3, 8)


def test_the_inputs_of_partitions_are_the_dependencies_of_the_assets() -> None:
    graph = defs.resolve_asset_graph()
    declared = {row.asset: inputs for row, inputs in INPUTS.items()}
    for asset, inputs in {**declared, DAILY_REPORT: REPORT_INPUTS}.items():
        node = graph.get(AssetKey(asset))
        assert {key.to_user_string() for key in node.parent_keys} == {
            one.row.asset for one in inputs
        }
        for one in inputs:
            mapping = node.partition_mappings.get(AssetKey(one.row.asset))
            back = mapping.start_offset if isinstance(mapping, TimeWindowPartitionMapping) else 0
            assert back == (-LOOK_BACK_DAYS if one.looks_back else 0), (asset, one.row.asset)


def test_a_partition_knows_what_it_was_made_from_and_a_deletion_makes_nothing_old(
    tmp_path: Path,
) -> None:
    lake, later = Lake(tmp_path), DAY + timedelta(days=2)
    with duckdb.connect() as con:
        posts = {day: [firehose_post("did:plc:ann", f"3k{day}")] for day in (DAY, later)}
        raw = {
            day: lake.write(RawFirehosePost, day, table(RawFirehosePost, rows))
            for day, rows in posts.items()
        }
        first, second = consolidate_day(con, lake, DAY), consolidate_day(con, lake, later)
        assert first.made_from == {
            "raw_firehose_posts": {str(DAY): raw[DAY].version},
            "raw_feed_posts": {},
            "raw_post_deletions": {},
        }
        assert second.made_from
        assert second.made_from["raw_firehose_posts"] == {
            str(day): found.version for day, found in raw.items()
        }

        gone = post_deletion("did:plc:ann", f"3k{DAY}", seq=900)
        after = later + timedelta(days=1)
        lake.write(RawPostDeletion, after, table(RawPostDeletion, [gone]))
        (removal,) = apply_tombstones(con, lake, lambda _: None)
        assert removal.partition.rows == 0
        assert removal.partition.version == first.version
        assert removal.partition.made_from == made_from(lake, ConsolidatedPost, DAY)
