"""Partitions of earlier contracts read as today's, or stop the reader with a clear word."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import create_model

from bsky_assets.contracts import (
    ALL,
    RawFirehosePost,
    RawPostDeletion,
    Row,
    arrow_schema,
    changes,
    contract_version,
)
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.contracts.base import Struct
from bsky_assets.contracts.changes import Dropped, Made
from bsky_assets.storage import catalogue
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import FOOTER_KEY, Footer, Segments
from bsky_assets.storage.shape import ContractViolation
from testbed.rows import firehose_post, table

DAY = date(2026, 3, 8)
THINGS = ("things",)


def struct(**fields: Any) -> Any:
    return create_model(
        "Part", __base__=Struct, **{name: (kind, ...) for name, kind in fields.items()}
    )


class Thing(Row):
    asset: ClassVar[str] = "things"
    key: ClassVar[tuple[str, ...]] = ("uri",)


def contract(**fields: Any) -> type[Row]:
    """A contract of the asset `things` with these columns."""
    stated: dict[str, Any] = {name: (kind, ...) for name, kind in fields.items()}
    return create_model("Things", __base__=Thing, **stated)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    """State changes of contracts for the length of a test."""
    return lambda *stated: monkeypatch.setattr(changes, "CHANGES", stated)


def write(lake: Lake, row: type[Row], rows: Sequence[Mapping[str, Any]], day: date = DAY) -> None:
    lake.write(row, day, pa.Table.from_pylist([*rows], schema=arrow_schema(row)))


def read(con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row]) -> list[dict[str, Any]]:
    relation = lake.relation(con, row, lake.days(row))
    assert relation.columns == arrow_schema(row).names
    rows: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
    return rows


def test_a_column_that_was_added_reads_as_null_wherever_it_stands(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    old = contract(uri=str, record=struct(text=str), facets=list[struct(value=str)])
    new = contract(
        uri=str,
        likes=int | None,
        record=struct(mood=str | None, text=str, embed=struct(kind=str) | None),
        facets=list[struct(kind=str | None, value=str)],
        tags=list[str] | None,
    )
    write(lake, old, [{"uri": "a", "record": {"text": "t"}, "facets": [{"value": "v"}]}])
    assert read(con, lake, new) == [
        {
            "uri": "a",
            "likes": None,
            "record": {"mood": None, "text": "t", "embed": None},
            "facets": [{"kind": None, "value": "v"}],
            "tags": None,
        }
    ]


def test_renamed_and_moved_columns_are_found_through_every_rename_since(
    con: duckdb.DuckDBPyConnection, lake: Lake, state: Any
) -> None:
    first = contract(uri=str, body=str, facets=list[struct(to=str)] | None)
    second = contract(uri=str, message=str, facets=list[struct(to=str)] | None)
    third = contract(uri=str, record=struct(text=str), facets=list[struct(value=str)] | None)
    state(
        Made(THINGS, "message", "{body}"),
        Made(THINGS, "record.text", "{message}"),
        Made(THINGS, "facets.value", "{facets.to}"),
    )
    write(lake, first, [{"uri": "1", "body": "one", "facets": [{"to": "x"}, {"to": "y"}]}])
    write(lake, second, [{"uri": "2", "message": "two", "facets": None}], date(2026, 3, 9))
    write(
        lake,
        third,
        [{"uri": "3", "record": {"text": "three"}, "facets": [{"value": "z"}]}],
        date(2026, 3, 10),
    )
    assert read(con, lake, third) == [
        {"uri": "1", "record": {"text": "one"}, "facets": [{"value": "x"}, {"value": "y"}]},
        {"uri": "2", "record": {"text": "two"}, "facets": None},
        {"uri": "3", "record": {"text": "three"}, "facets": [{"value": "z"}]},
    ]


def test_a_retyped_column_is_made_as_stated(
    con: duckdb.DuckDBPyConnection, lake: Lake, state: Any
) -> None:
    state(
        Made(THINGS, "likes", "CAST({likes} AS BIGINT)"),
        Made(THINGS, "langs", "string_split({langs}, ';')"),
    )
    write(
        lake,
        contract(uri=str, likes=str | None, langs=str),
        [{"uri": "a", "likes": "5", "langs": "en;ja"}, {"uri": "b", "likes": None, "langs": "en"}],
    )
    assert read(con, lake, contract(uri=str, likes=int | None, langs=list[str])) == [
        {"uri": "a", "likes": 5, "langs": ["en", "ja"]},
        {"uri": "b", "likes": None, "langs": ["en"]},
    ]


def test_a_struct_that_is_null_stays_null(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    old = contract(uri=str, embed=struct(kind=str) | None)
    new = contract(uri=str, embed=struct(kind=str, link=str | None) | None)
    write(lake, old, [{"uri": "a", "embed": None}, {"uri": "b", "embed": {"kind": "k"}}])
    embeds = [row["embed"] for row in read(con, lake, new)]
    assert embeds == [None, {"kind": "k", "link": None}]


def test_a_dropped_column_is_left_out(
    con: duckdb.DuckDBPyConnection, lake: Lake, state: Any
) -> None:
    state(Dropped(THINGS, "record.mood"), Dropped(THINGS, "extra"))
    old = contract(uri=str, record=struct(text=str, mood=str), extra=struct(a=int, b=int))
    rows = [{"uri": "a", "record": {"text": "t", "mood": "m"}, "extra": {"a": 1, "b": 2}}]
    write(lake, old, rows)
    new = contract(uri=str, record=struct(text=str))
    assert read(con, lake, new) == [{"uri": "a", "record": {"text": "t"}}]


def test_columns_in_another_order_are_read_by_name(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    write(lake, contract(a=str, b=str), [{"a": "1", "b": "2"}])
    assert read(con, lake, contract(b=str, a=str)) == [{"b": "2", "a": "1"}]


OLD = {"uri": str, "text": str, "record": struct(mood=str | None)}
RECORD = struct(mood=str | None)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({**OLD, "cid": str}, "column cid should be string, found nothing"),
        ({**OLD, "text": int}, "column text should be int64, found string"),
        ({**OLD, "text": list[str]}, "column text should be list<element: string"),
        ({"uri": str, "body": str | None, "record": RECORD}, "column text is in the file and not"),
        ({"uri": str, "text": str}, "column record.mood is in the file and not"),
        (
            {**OLD, "record": struct(feeling=str | None)},
            "column record.mood is in the file and not in the contract; say in contracts/changes",
        ),
    ],
)
def test_what_is_not_stated_stops_the_reader(
    con: duckdb.DuckDBPyConnection, lake: Lake, new: dict[str, Any], said: str
) -> None:
    write(lake, contract(**OLD), [{"uri": "a", "text": "t", "record": {"mood": None}}])
    with pytest.raises(ContractViolation) as failure:
        lake.relation(con, contract(**new), [DAY])
    assert str(failure.value).startswith("things on 2026-03-08: ")
    assert said in str(failure.value)


def test_a_change_of_another_asset_is_not_taken(
    con: duckdb.DuckDBPyConnection, lake: Lake, state: Any
) -> None:
    state(Made(("others",), "body", "{text}"))
    write(lake, contract(uri=str, text=str), [{"uri": "a", "text": "t"}])
    with pytest.raises(ContractViolation, match="column body should be string, found nothing"):
        lake.relation(con, contract(uri=str, body=str), [DAY])


def test_renames_that_go_in_a_circle_end(
    con: duckdb.DuckDBPyConnection, lake: Lake, state: Any
) -> None:
    state(Made(THINGS, "a", "{b}"), Made(THINGS, "b", "{a}"))
    write(lake, contract(uri=str), [{"uri": "x"}])
    with pytest.raises(ContractViolation, match="column a should be string, found nothing"):
        lake.relation(con, contract(uri=str, a=str), [DAY])


def test_a_file_that_is_not_what_its_pointer_says_stops_the_reader(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    row = contract(uri=str, mood=str | None)
    write(lake, row, [{"uri": "a", "mood": "m"}])
    partition = lake.current(row, DAY)
    assert partition is not None
    pq.write_table(pa.table({"uri": ["a"]}), partition.path)
    with pytest.raises(ContractViolation, match="column mood should be string, found nothing"):
        lake.relation(con, row, [DAY])


values = st.none() | st.text(max_size=5)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moved=st.sampled_from(["top", "struct", "list"]),
    renamed=st.booleans(),
    rows=st.lists(st.tuples(values, values, st.none() | st.lists(values, max_size=3)), max_size=6),
)
def test_whatever_was_renamed_the_values_are_the_same(
    con: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
    moved: str,
    renamed: bool,
    rows: list[tuple[str | None, str | None, list[str | None] | None]],
) -> None:
    def shaped(name: str) -> type[Row]:
        names = [name if place == moved else "same" for place in ("top", "struct", "list")]
        top, inner, item = names
        return contract(
            **{
                top: str | None,
                "record": struct(**{inner: str | None}) | None,
                "facets": list[struct(**{item: str | None})] | None,
            }
        )

    def filled(name: str) -> list[dict[str, Any]]:
        top, inner, item = (
            name if place == moved else "same" for place in ("top", "struct", "list")
        )
        return [
            {
                top: first,
                "record": None if second is None else {inner: second},
                "facets": None if third is None else [{item: value} for value in third],
            }
            for first, second, third in rows
        ]

    lake = Lake(tmp_path_factory.mktemp("lake"))
    write(lake, shaped("was"), filled("was"))
    path = {"top": "", "struct": "record.", "list": "facets."}[moved]
    name = "now" if renamed else "was"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "CHANGES", (Made(THINGS, f"{path}now", f"{{{path}was}}"),))
        assert read(con, lake, shaped(name)) == filled(name)


def old_days(lake: Lake) -> None:
    """Three days of deletions, each of another contract; the last is today's."""
    schema = arrow_schema(RawPostDeletion)
    row = {
        "kind": "post",
        "uri": "at://did:plc:a/app.bsky.feed.post/1",
        "did": "did:plc:a",
        "status": "deleted",
        "relay": "relay.test",
        "seq": 1,
        "received_at": datetime(2026, 3, 8, tzinfo=UTC),
    }
    renamed = schema.set(schema.get_field_index("status"), pa.field("state", pa.string()))
    for number, stored in enumerate(
        (renamed, schema.remove(schema.get_field_index("uri")), schema)
    ):
        partition = lake.write(RawPostDeletion, DAY + timedelta(days=number), schema.empty_table())
        pq.write_table(pa.Table.from_pylist([{**row, "state": "deleted"}], stored), partition.path)
        if stored is not schema:
            pointer = partition.path.with_name("current.json")
            pointer.write_text(pointer.read_text().replace(partition.contract, "earlier"))


def test_the_catalogue_shows_every_contract_as_todays(lake: Lake, state: Any) -> None:
    state(Made(("raw_post_deletions",), "status", "{state}"))
    old_days(lake)
    path = lake.root.parent / "bsky.duckdb"
    catalogue.rebuild(lake, path)
    with duckdb.connect(str(path)) as con:
        rows = con.sql(
            "SELECT sync_day, status, uri IS NULL FROM raw_post_deletions ORDER BY ALL"
        ).fetchall()
    assert rows == [
        (DAY, "deleted", False),
        (DAY + timedelta(days=1), "deleted", True),
        (DAY + timedelta(days=2), "deleted", False),
    ]


def test_a_view_that_cannot_be_read_says_why_and_costs_no_other(lake: Lake) -> None:
    old_days(lake)
    path = lake.root.parent / "bsky.duckdb"
    catalogue.rebuild(lake, path)
    with duckdb.connect(str(path)) as con:
        for row in ALL:
            relation = con.sql(f"SELECT * FROM {row.asset}")
            assert relation.columns == ["sync_day", *arrow_schema(row).names]
            if row is not RawPostDeletion:
                assert relation.fetchall() == []
        with pytest.raises(duckdb.Error, match="raw_post_deletions on 2026-03-08: column s"):
            con.sql("SELECT count(*) FROM raw_post_deletions").fetchall()


def without_tags(table: pa.Table) -> pa.Table:
    """Segment rows as a contract had them that knew nothing of `record.tags`."""
    position = table.schema.get_field_index("post")
    posts = table.column(position).combine_chunks()
    kind = posts.type
    record = posts.field("record")
    names = [part.name for part in record.type if part.name != "tags"]
    narrowed = pa.StructArray.from_arrays([record.field(name) for name in names], names)
    columns = [narrowed if part.name == "record" else posts.field(part.name) for part in kind]
    older = pa.StructArray.from_arrays(columns, [part.name for part in kind])
    return table.set_column(position, "post", older)


def test_what_lands_in_segments_of_any_contract_joins_what_is_stored_under_any(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path
) -> None:
    segments = Segments(tmp_path / "segments", FIREHOSE)
    footer = Footer(
        stream=FIREHOSE,
        host="relay.test",
        follows=None,
        cursor=1,
        cursor_time=None,
        received_from="",
        received_to="",
        rows={"post": 1},
    )
    with segments.collecting() as writer:
        for number in (1, 2, 3):
            post = firehose_post("did:plc:a", str(number), seq=number)
            written = writer.write(DAY, {RawFirehosePost: table(RawFirehosePost, [post])}, footer)
            if number == 2:
                metadata = {FOOTER_KEY: footer.to_json()}
                older = without_tags(pq.read_table(written.path))
                pq.write_table(older.replace_schema_metadata(metadata), written.path)
            if number == 1:
                stored, _ = compact_firehose_day(con, lake, segments, DAY)
                pointer = stored.path.with_name("current.json")
                pointer.write_text(pointer.read_text().replace(stored.contract, "earlier"))
    merged, _ = compact_firehose_day(con, lake, segments, DAY)
    rows = lake.relation(con, RawFirehosePost, [DAY]).order("seq").fetchall()
    assert [row[0].rpartition("/")[2] for row in rows] == ["1", "2", "3"]
    assert merged.contract == contract_version(RawFirehosePost)
