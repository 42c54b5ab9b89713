"""The rows of a partition that its page in the UI shows."""

import duckdb
import pytest
from dagster import TableMetadataValue

from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.materialisation import SAMPLE_ROWS, sample
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.storage.deletions import DAY
from testbed.rows import post_deletion, table


def shown(metadata: object) -> list[dict[str, object]]:
    assert isinstance(metadata, TableMetadataValue)
    return [dict(record.data) for record in metadata.records]


def test_a_sample_has_one_row_of_each_kind_the_most_frequent_first(settings: Settings) -> None:
    dids = ["did:plc:often"] * 50 + ["did:plc:seldom"] * 3 + ["did:plc:once"]
    rows = [post_deletion(did, f"{n}", seq=n) for n, did in enumerate(dids)]
    lake = Lake.of(settings)
    stored = lake.write(RawPostDeletion, DAY, table(RawPostDeletion, rows))
    with duckdb.connect() as con:
        found = shown(sample(con, lake, stored, RawPostDeletion, "did, kind", each="did"))
    assert [(row["did"], row["such_rows"]) for row in found] == [
        ("did:plc:often", "50"),
        ("did:plc:seldom", "3"),
        ("did:plc:once", "1"),
    ]
    assert set(found[0]) == {"did", "kind", "such_rows"}


@pytest.mark.parametrize("count", [0, SAMPLE_ROWS + 5])
def test_a_sample_is_short_and_may_be_empty(settings: Settings, count: int) -> None:
    rows = [post_deletion("did:plc:a", f"{n}", seq=n) for n in range(count)]
    lake = Lake.of(settings)
    stored = lake.write(RawPostDeletion, DAY, table(RawPostDeletion, rows))
    with duckdb.connect() as con:
        found = shown(sample(con, lake, stored, RawPostDeletion, "seq", each="seq"))
    assert len(found) == min(count, SAMPLE_ROWS)
