"""Partitions of earlier contracts are rewritten whole, or stay as they were."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pytest

from bsky_assets.contracts import Row, arrow_schema, changes, contract_version
from bsky_assets.contracts.base import Struct
from bsky_assets.contracts.changes import Made
from bsky_assets.migrations import rewrite
from bsky_assets.migrations.rewrite import RewriteDiffers
from bsky_assets.storage.lake import Lake

FIRST = date(2026, 3, 1)
RENAMED = (Made(("things",), "record.text", "{record.body}"),)


class OldRecord(Struct):
    body: str
    langs: list[str] | None


class OldThing(Row):
    asset: ClassVar[str] = "things"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    uri: str
    record: OldRecord


class NewRecord(Struct):
    text: str
    langs: list[str] | None


class NewThing(Row):
    asset: ClassVar[str] = "things"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    uri: str
    record: NewRecord
    likes: int | None


def store(root: Path, days: int, rows: int = 5) -> Lake:
    """A lake with so many days of old things."""
    lake = Lake(root)
    for number in range(days):
        things = [
            {"uri": f"{number}/{each}", "record": {"body": f"text {each}", "langs": ["en"]}}
            for each in range(rows)
        ]
        table = pa.Table.from_pylist(things, schema=arrow_schema(OldThing))
        lake.write(OldThing, FIRST + timedelta(days=number), table, {"kept": number})
    return lake


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(autouse=True)
def _renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "CHANGES", RENAMED)


def outdated(lake: Lake) -> list[rewrite.Outdated]:
    return list(rewrite.plan(lake, (NewThing,)))


def everything(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[Any]:
    relation = lake.relation(con, NewThing, lake.days(NewThing))
    return sorted(relation.to_arrow_table().to_pylist(), key=lambda row: str(row["uri"]))


def test_a_plan_tells_what_each_partition_takes_and_changes_nothing(tmp_path: Path) -> None:
    lake = store(tmp_path / "lake", days=2)
    before = lake.partitions(NewThing)
    planned = outdated(lake)
    assert [item.partition for item in planned] == before == lake.partitions(NewThing)
    assert planned[0].changes == (
        "record.text is made from {record.body}",
        "likes is null, being new",
    )


def test_rewritten_partitions_hold_the_same_and_need_no_change(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = store(tmp_path / "lake", days=3)
    before = lake.partitions(NewThing)
    rows = everything(con, lake)
    told: list[tuple[int, int]] = []
    written = rewrite.apply(
        con, lake, outdated(lake), lambda step: told.append((step.done, step.total))
    )
    monkeypatch.setattr(changes, "CHANGES", ())
    assert everything(con, lake) == rows
    assert written == lake.partitions(NewThing)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert outdated(lake) == []
    for old, new in zip(before, written, strict=True):
        assert new.contract == contract_version(NewThing)
        assert new.rows == old.rows
        assert new.details["kept"] == old.details["kept"]
        assert new.details["rewritten"][0]["contract"] == old.contract
        assert old.path.exists()


def test_a_rewrite_that_differs_does_not_take_the_place(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = store(tmp_path / "lake", days=1)
    before = lake.partitions(NewThing)
    rows = everything(con, lake)
    copy = Lake._copy

    def spoil(self: Lake, con: Any, dataset: Any, row: Any, day: Any, sql: str, verify: Any) -> Any:
        spoiled = f"SELECT * REPLACE ('x' AS uri) FROM ({sql})"
        return copy(self, con, dataset, row, day, spoiled, verify)

    monkeypatch.setattr(Lake, "_copy", spoil)
    with pytest.raises(RewriteDiffers, match="with other values in uri; the partition stays"):
        rewrite.apply(con, lake, outdated(lake))
    assert lake.partitions(NewThing) == before
    assert everything(con, lake) == rows


def test_a_partition_that_was_written_since_the_plan_is_left_alone(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    lake = store(tmp_path / "lake", days=1)
    planned = outdated(lake)
    newer = lake.write(NewThing, FIRST, arrow_schema(NewThing).empty_table())
    assert rewrite.apply(con, lake, planned) == []
    assert lake.partitions(NewThing) == [newer]


def test_quarantine_and_other_datasets_below_an_asset_are_rewritten_in_their_place(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    lake = store(tmp_path / "lake", days=1)
    folder = lake.root / "things" / f"sync_day={FIRST}"
    below = lake.root / "things" / "source" / folder.name
    below.parent.mkdir()
    folder.rename(below)
    (written,) = rewrite.apply(con, lake, outdated(lake))
    assert written.dataset == "things/source"
    assert written.path.parent == below
