"""Old databases come into the lake whole: every row is stored or in quarantine."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import Field
from typer.testing import CliRunner

from bsky_assets.commands import migrate
from bsky_assets.contracts import Quarantined, RawFeedPost, RawFirehosePost, Row
from bsky_assets.contracts.progress import Progress
from bsky_assets.migrations import legacy_mongo, legacy_sqlite, loading
from bsky_assets.migrations.legacy_mongo import NotAnExport
from bsky_assets.migrations.legacy_sqlite import LegacyTable, NotALegacyDatabase
from bsky_assets.migrations.loading import CountsDisagree, Migrated
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.sync_day import bounds, sync_day_of, today
from bsky_assets_tests.support.legacy import (
    old_document,
    old_row,
    uri,
    write_database,
    write_export,
)
from bsky_assets_tests.support.places import ROOT

DAY = date(2024, 3, 20)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def chosen(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data")


def lake_of(folder: Path) -> Lake:
    return Lake(chosen(folder).data_dir / "lake")


def migrate_rows(
    con: duckdb.DuckDBPyConnection, folder: Path, *rows: dict[str, Any], **limits: Any
) -> Migrated:
    file = folder / "old.db"
    if not file.exists():
        write_database(file, rows)
    return legacy_sqlite.migrate(con, lake_of(folder), file, chosen(folder), **limits)


def stored(con: duckdb.DuckDBPyConnection, folder: Path, row: type[Row]) -> list[dict[str, Any]]:
    partitions = lake_of(folder).partitions(row)
    return con.sql(select_rows(row, partitions)).to_arrow_table().to_pylist()


def record_of(con: duckdb.DuckDBPyConnection, folder: Path, **changed: Any) -> dict[str, Any]:
    """The record that the post with these old columns has in the lake."""
    migrate_rows(con, folder, old_row(1, **changed))
    (row,) = stored(con, folder, RawFirehosePost)
    record: dict[str, Any] = row["record"]
    return record


def test_an_old_row_becomes_a_firehose_post(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    report = migrate_rows(
        con,
        tmp_path,
        old_row(1, reply_parent="at://p", reply_root="at://r", synctimestamp="2024-03-20-04:30:00"),
    )
    (row,) = stored(con, tmp_path, RawFirehosePost)
    assert row == {
        "uri": uri(1),
        "cid": "bafyreib1",
        "author": "did:plc:legacy1",
        "record": {
            "created_at": "2024-03-20T14:58:08.000Z",
            "text": "post 1",
            "embed": None,
            "entities": None,
            "facets": None,
            "labels": None,
            "langs": ["en"],
            "reply_parent": "at://p",
            "reply_root": "at://r",
            "tags": None,
            "py_type": "app.bsky.feed.post",
            "unknown_fields": None,
        },
        "metadata": {
            "synctimestamp": "2024-03-20-04:30:00",
            "source_feed": "firehose",
            "url": None,
        },
        "relay": "legacy-sqlite:old.db",
        "seq": 1,
        "action": "create",
        "dated_by": None,
        "rev": "",
        "commit_time": None,
        "received_at": datetime(2024, 3, 20, 4, 30, tzinfo=UTC),
        "earlier_versions": None,
    }
    # 04:30 in UTC is still the evening before in Chicago.
    assert report.days == {date(2024, 3, 19): 1}
    assert (report.rows, report.stored, report.quarantined) == (1, 1, {})


def test_a_column_that_no_old_table_knows_is_null(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    class Longer(RawFirehosePost):
        """A post, and a column that came later."""

        clients: list[str] | None = Field(description="What it was written with.")

    write_database(tmp_path / "old.db", [old_row(1)])
    with LegacyTable(tmp_path / "old.db") as source:
        source.row = Longer
        report = loading.migrate(con, lake_of(tmp_path), source, chosen(tmp_path))
    assert report.stored == 1
    assert [row["clients"] for row in stored(con, tmp_path, Longer)] == [None]


def embed(**changed: Any) -> str:
    """An embed as the old code wrote it; its parts were JSON in strings once more."""
    parts = {
        "has_image": False,
        "image_alt_text": None,
        "has_embedded_record": False,
        "embedded_record": None,
        "has_external": False,
        "external": None,
    }
    return json.dumps({**parts, **changed})


QUOTED = {"cid": "bafyq", "uri": "at://did:plc:q/app.bsky.feed.post/3k"}
CARD = {"description": "about", "title": "a; title", "uri": "https://a.test/x;y,z"}
EMPTY_EMBED = {
    "media_kind": None,
    "media": None,
    "link_uri": None,
    "link_title": None,
    "link_description": None,
    "alt_texts": [],
    "quoted_uri": None,
    "quoted_cid": None,
}


@pytest.mark.parametrize("nested", [json.dumps, lambda part: part])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"has_image": True, "image_alt_text": "a cat;a dog, asleep"},
            {
                "kind": "app.bsky.embed.images",
                "media_kind": "app.bsky.embed.images",
                "alt_texts": ["a cat", "a dog, asleep"],
            },
        ),
        (
            {"has_image": True, "image_alt_text": ""},
            {
                "kind": "app.bsky.embed.images",
                "media_kind": "app.bsky.embed.images",
                "alt_texts": [""],
            },
        ),
        (
            {"has_embedded_record": True, "embedded_record": QUOTED},
            {
                "kind": "app.bsky.embed.record",
                "quoted_uri": QUOTED["uri"],
                "quoted_cid": QUOTED["cid"],
            },
        ),
        (
            {"has_external": True, "external": CARD},
            {
                "kind": "app.bsky.embed.external",
                "media_kind": "app.bsky.embed.external",
                "link_uri": CARD["uri"],
                "link_title": CARD["title"],
                "link_description": CARD["description"],
            },
        ),
        (
            {
                "has_image": True,
                "image_alt_text": "a cat",
                "has_embedded_record": True,
                "embedded_record": QUOTED,
            },
            {
                "kind": "app.bsky.embed.recordWithMedia",
                "media_kind": "app.bsky.embed.images",
                "alt_texts": ["a cat"],
                "quoted_uri": QUOTED["uri"],
                "quoted_cid": QUOTED["cid"],
            },
        ),
        (
            {
                "has_image": True,
                "image_alt_text": "",
                "has_embedded_record": True,
                "embedded_record": QUOTED,
            },
            {
                "kind": "app.bsky.embed.recordWithMedia",
                "media_kind": "app.bsky.embed.images",
                "quoted_uri": QUOTED["uri"],
                "quoted_cid": QUOTED["cid"],
            },
        ),
    ],
)
def test_an_old_embed_becomes_a_struct(
    con: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    nested: Any,
    parts: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    old = embed(**{k: nested(v) if isinstance(v, dict) else v for k, v in parts.items()})
    assert record_of(con, tmp_path, embed=old)["embed"] == {**EMPTY_EMBED, **expected}


def test_what_the_old_code_could_not_tell_is_kept_as_unknown(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    record = record_of(con, tmp_path, embed=embed(), reply="{'parent': 'x'}")
    assert record["embed"] is None
    unknown = json.loads(record["unknown_fields"])
    assert unknown == {"embed": json.loads(embed()), "reply": "{'parent': 'x'}"}


def facet(kind: str, value: str) -> dict[str, Any]:
    kind = f"app.bsky.richtext.facet#{kind}"
    return {"byte_start": None, "byte_end": None, "kind": kind, "value": value}


@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ("langs", "en;ja", ["en", "ja"]),
        ("langs", "en,pt-BR", ["en", "pt-BR"]),
        ("langs", "", None),
        ("langs", "['en']", ["en"]),
        ("tags", "one;two, three", ["one", "two, three"]),
        ("tags", "one,two", ["one", "two"]),
        ("labels", "porn;sexual", ["porn", "sexual"]),
        (
            "facets",
            "tag:a;link:https://a.test/?x=1;y=2,z;mention:did:plc:b",
            [
                facet("tag", "a"),
                facet("link", "https://a.test/?x=1;y=2,z"),
                facet("mention", "did:plc:b"),
            ],
        ),
        ("facets", "tag:a,tag:b", [facet("tag", "a"), facet("tag", "b")]),
        (
            "entities",
            "https://a.test;did:plc:b",
            [
                {"start": None, "end": None, "kind": "link", "value": "https://a.test"},
                {"start": None, "end": None, "kind": "mention", "value": "did:plc:b"},
            ],
        ),
        ("text", None, ""),
        ("reply_parent", "", None),
        ("py_type", None, "app.bsky.feed.post"),
    ],
)
def test_joined_strings_become_lists(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, column: str, old: Any, new: Any
) -> None:
    assert record_of(con, tmp_path, **{column: old})[column] == new


TOMORROW = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d-%H:%M:%S")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"uri": None}, "bad_uri"),
        ({"uri": "at://did:plc:legacy1/app.bsky.feed.like/3k"}, "bad_uri"),
        ({"cid": None}, "missing_field"),
        ({"author": "did:plc:another"}, "bad_author"),
        ({"created_at": None}, "missing_field"),
        ({"py_type": "app.bsky.feed.like"}, "wrong_type"),
        ({"embed": "{not json"}, "bad_embed"),
        ({"embed": "[1]"}, "bad_embed"),
        ({"embed": embed(has_external=True, external="{not json")}, "bad_embed"),
        ({"embed": embed(has_embedded_record=True)}, "bad_embed"),
        ({"facets": "whatever"}, "bad_facets"),
        ({"langs": "{en}"}, "bad_langs"),
        ({"text": b"\xff\xfe"}, "not_unicode"),
        ({"synctimestamp": None}, "bad_synctimestamp"),
        ({"synctimestamp": "2024-03-20 14:58:08"}, "bad_synctimestamp"),
        ({"synctimestamp": "2024-13-20-14:58:08"}, "bad_synctimestamp"),
        ({"synctimestamp": 20240320}, "bad_synctimestamp"),
        ({"synctimestamp": "2023-12-31-23:00:00"}, "before_first_day"),
        ({"synctimestamp": TOMORROW}, "in_the_future"),
        ({"uri": uri(0), "author": "did:plc:legacy0"}, "repeated"),
    ],
)
def test_an_unreadable_row_is_quarantined_as_it_stands_and_costs_no_other(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    odd = old_row(1, **changed)
    report = migrate_rows(con, tmp_path, old_row(0), odd, old_row(2))
    assert [row["uri"] for row in stored(con, tmp_path, RawFirehosePost)] == [uri(0), uri(2)]
    (kept,) = stored(con, tmp_path, Quarantined)
    assert (kept["reason"], kept["position"], kept["origin"]) == (reason, "2", "old.db")
    assert kept["source"] == "raw_firehose_posts"
    raw = kept["content"].decode("utf-8", "surrogateescape")
    as_written = {
        name: value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        for name, value in odd.items()
    }
    assert json.loads(raw) == {"id": 2, **as_written}
    assert report.rows == 3
    assert (report.stored, report.quarantined) == (2, {reason: 1})


anything = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.dictionaries(st.sampled_from(sorted(old_row(0))), anything, max_size=3), max_size=12
    )
)
def test_whatever_stands_in_a_column_every_row_is_accounted_for(
    con: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[dict[str, Any]],
) -> None:
    folder = tmp_path_factory.mktemp("old")
    rows = [old_row(number, **changed) for number, changed in enumerate(changes)]
    report = migrate_rows(con, folder, *rows)
    posts = stored(con, folder, RawFirehosePost)
    odd = stored(con, folder, Quarantined)
    assert report.rows == len(rows) == len(posts) + len(odd)
    assert {row["seq"] for row in posts} | {int(row["position"]) for row in odd} == set(
        range(1, len(rows) + 1)
    )
    untouched = {number + 1 for number, changed in enumerate(changes) if not changed}
    assert untouched <= {row["seq"] for row in posts}


def test_rows_go_to_the_day_on_which_they_were_synced_there(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    stamps = [
        datetime(2024, 3, 9, 12, tzinfo=UTC) + timedelta(minutes=17 * number)
        for number in range(400)
    ]
    report = migrate_rows(
        con,
        tmp_path,
        *(
            old_row(number, synctimestamp=stamp.strftime("%Y-%m-%d-%H:%M:%S"))
            for number, stamp in enumerate(stamps)
        ),
    )
    timezone = chosen(tmp_path).timezone
    expected: dict[date, int] = {}
    for stamp in stamps:
        day = sync_day_of(stamp, timezone)
        expected[day] = expected.get(day, 0) + 1
    assert report.days == expected
    lake = lake_of(tmp_path)
    for day in lake.days(RawFirehosePost):
        first, after = bounds(day, timezone)
        for row in lake.relation(con, RawFirehosePost, [day]).to_arrow_table().to_pylist():
            assert first <= row["received_at"] < after


def test_a_second_run_changes_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = [old_row(number) for number in range(50)]
    odd = [old_row(50, uri="x"), old_row(51, synctimestamp=None), old_row(3)]
    first = migrate_rows(con, tmp_path, *rows, *odd)
    lake = lake_of(tmp_path)
    before = [*lake.partitions(RawFirehosePost), *lake.partitions(Quarantined)]
    second = migrate_rows(con, tmp_path)
    assert (second.rows, second.stored, second.quarantined) == (53, 50, first.quarantined)
    assert [*lake.partitions(RawFirehosePost), *lake.partitions(Quarantined)] == before


def test_what_the_day_holds_already_stays(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    migrate_rows(con, tmp_path, *(old_row(number) for number in range(10)))
    lake = lake_of(tmp_path)
    kept = stored(con, tmp_path, RawFirehosePost)
    with_details = lake.relation(con, RawFirehosePost, [DAY])
    lake.write_query(con, RawFirehosePost, DAY, with_details.sql_query(), {"gaps": [1]})
    (tmp_path / "old.db").unlink()
    report = migrate_rows(con, tmp_path, *(old_row(n, text="again") for n in range(5, 15)))
    rows = stored(con, tmp_path, RawFirehosePost)
    assert rows[:10] == kept
    assert [row["uri"] for row in rows[10:]] == [uri(number) for number in range(10, 15)]
    assert report.stored == 10
    partition = lake.current(RawFirehosePost, DAY)
    assert partition is not None
    assert partition.details == {"gaps": [1], "migrated_from": ["old.db"]}


@pytest.mark.parametrize("lost", ["stored rows", "quarantined rows"])
def test_it_does_not_finish_while_a_row_is_missing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    rows = [old_row(0), old_row(1), old_row(2, uri="x")]
    write_query = Lake.write_query

    def write_half(self: Lake, con: Any, row: Any, day: Any, sql: str, details: Any) -> Any:
        return write_query(self, con, row, day, f"SELECT * FROM ({sql}) LIMIT 1", details)

    with monkeypatch.context() as broken:
        if lost == "stored rows":
            broken.setattr(Lake, "write_query", write_half)
        else:
            broken.setattr("bsky_assets.storage.quarantine.add", lambda *_: None)
        with pytest.raises(CountsDisagree, match="3 rows, of which 3 were read") as failure:
            migrate_rows(con, tmp_path, *rows)
    assert "\n" not in str(failure.value)
    assert migrate_rows(con, tmp_path).stored == 2


class Stopped(Exception):
    pass


def test_stopped_anywhere_it_goes_on_and_ends_the_same(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy_sqlite, "BATCH_ROWS", 10)
    rows = [
        old_row(number, synctimestamp=f"2024-03-{1 + number // 7:02d}-18:00:00")
        for number in range(60)
    ]
    rows[33] = old_row(33, embed="{not json")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    steps: list[Progress] = []
    expected = migrate_rows(con, whole, *rows, progress=steps.append)
    stops: set[Progress] = set()

    def stop(step: Progress) -> None:
        if step not in stops:
            stops.add(step)
            raise Stopped

    while True:
        try:
            finished = migrate_rows(con, broken, *rows, progress=stop)
            break
        except Stopped:
            pass
    assert stops == set(steps)
    assert len(stops) > 10
    assert (finished.stored, finished.quarantined) == (expected.stored, {"bad_embed": 1})
    for row in (RawFirehosePost, Quarantined):
        of_one_run, of_many = (
            sorted(
                ({**each, "received_at": None} for each in stored(con, folder, row)),
                key=lambda each: str(each.get("uri")),
            )
            for folder in (whole, broken)
        )
        assert of_one_run == of_many


KILLED = """
import os, signal, sys
from pathlib import Path
import duckdb
from bsky_assets.migrations import legacy_sqlite
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
folder, at = Path(sys.argv[1]), int(sys.argv[2])
legacy_sqlite.BATCH_ROWS = 20
calls = 0
def progress(_):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
settings = Settings(_env_file=None, data_dir=folder / "data")
legacy_sqlite.migrate(
    duckdb.connect(), Lake(folder / "data" / "lake"), folder / "old.db", settings, progress
)
"""


def test_killed_it_goes_on(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write_database(tmp_path / "old.db", [old_row(number) for number in range(100)])
    for at in (3, 5):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(at)],
            cwd=ROOT,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
    report = migrate_rows(con, tmp_path)
    assert report.stored == 100
    assert len(stored(con, tmp_path, RawFirehosePost)) == 100
    assert list((chosen(tmp_path).data_dir / "migrations").iterdir()) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_bytes(b"not a database" * 100), "file is not a database"),
        (lambda path: write_database(path, [], "a").touch(), None),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE a (uri, text)"), "has 0 tables"),
    ],
)
def test_a_file_that_is_no_legacy_database_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, make: Any, said: str | None
) -> None:
    file = tmp_path / "old.db"
    make(file)
    if said is None:
        assert legacy_sqlite.migrate(con, lake_of(tmp_path), file, chosen(tmp_path)).rows == 0
        return
    with pytest.raises(NotALegacyDatabase, match=said) as failure:
        legacy_sqlite.migrate(con, lake_of(tmp_path), file, chosen(tmp_path))
    assert str(file) in str(failure.value)


def test_a_table_with_fewer_columns_under_another_name_is_found(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as database:
        database.execute(
            'CREATE TABLE "old ""posts" (uri, cid, author, created_at, text, synctimestamp)'
        )
        row = old_row(1)
        database.execute(
            'INSERT INTO "old ""posts" VALUES (?, ?, ?, ?, ?, ?)',
            [row[n] for n in ("uri", "cid", "author", "created_at", "text", "synctimestamp")],
        )
    database.close()
    assert migrate_rows(con, tmp_path).stored == 1


def migrate_lines(con: duckdb.DuckDBPyConnection, folder: Path, *lines: Any) -> Migrated:
    file = write_export(folder / "posts.jsonl", lines)
    return legacy_mongo.migrate(con, lake_of(folder), file, chosen(folder))


def test_an_exported_document_becomes_a_feed_post(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    document = old_document(1, like_count={"$numberInt": "5"})
    document["record"]["embed"] = json.loads(embed(has_external=True, external=CARD))
    document["record"]["langs"] = ["en", "ja"]
    report = migrate_lines(con, tmp_path, document)
    assert report.days == {date(2024, 5, 21): 1}
    (row,) = stored(con, tmp_path, RawFeedPost)
    record = row.pop("record")
    assert record["embed"]["link_uri"] == CARD["uri"]
    assert (record["text"], record["langs"]) == ("post 1", ["en", "ja"])
    assert row == {
        "uri": uri(1),
        "cid": "bafyreib1",
        "author": {
            "did": "did:plc:legacy1",
            "handle": "legacy.test",
            "display_name": "Legacy",
            "avatar": None,
            "created_at": None,
            "verification": None,
        },
        "metadata": {
            "synctimestamp": "2024-05-21-21:00:05",
            "source_feed": "today",
            "url": "https://bsky.app/profile/legacy.test/post/3k00000000001",
        },
        "indexed_at": datetime(2024, 5, 21, 20, 59, 0, 123000, tzinfo=UTC),
        "like_count": 5,
        "reply_count": 6,
        "repost_count": 7,
        "quote_count": None,
        "bookmark_count": None,
        "reason": None,
        "unknown_fields": None,
        "post_labels": [],
        "author_labels": [],
        "position": 0,
        "received_at": datetime(2024, 5, 21, 21, 0, 5, tzinfo=UTC),
    }


def as_array(documents: Sequence[Any]) -> bytes:
    return json.dumps(documents, indent=1).encode()


@pytest.mark.parametrize(
    "content",
    [
        as_array([old_document(number) for number in range(3)]),
        b"\xef\xbb\xbf" + as_array([old_document(number) for number in range(3)]),
        b"\n [" + b",\n".join(json.dumps(old_document(n)).encode() for n in range(3)) + b"]\n",
        b"\xef\xbb\xbf" + b"\n".join(json.dumps(old_document(n)).encode() for n in range(3)),
    ],
    ids=["pretty array", "array after a BOM", "a document a line in an array", "lines and a BOM"],
)
def test_an_array_and_a_byte_order_mark_cost_no_document(
    con: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    monkeypatch.setattr(legacy_mongo, "_CHUNK", 700)
    file = tmp_path / "posts.json"
    file.write_bytes(content)
    report = legacy_mongo.migrate(con, lake_of(tmp_path), file, chosen(tmp_path))
    assert (report.rows, report.stored, report.quarantined) == (3, 3, {})
    rows = stored(con, tmp_path, RawFeedPost)
    assert {row["uri"]: row["position"] for row in rows} == {uri(n): n for n in range(3)}


def test_an_array_that_is_cut_off_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "posts.json"
    file.write_bytes(as_array([old_document(0), old_document(1)])[:-40])
    with pytest.raises(NotAnExport, match="cannot be read on after document 1"):
        legacy_mongo.migrate(con, lake_of(tmp_path), file, chosen(tmp_path))


def test_canonical_extended_json_is_read_and_nothing_of_a_document_is_lost(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    at = datetime(2024, 5, 21, 20, 59, tzinfo=UTC)
    label = {"src": "did:plc:labeler", "uri": uri(1), "val": "spam", "cts": at.isoformat()}
    milliseconds = {"$numberLong": str(int(at.timestamp() * 1000))}
    document = old_document(
        1,
        indexed_at={"$date": milliseconds},
        like_count={"$numberDouble": "5.0"},
        reply_count=6.0,
        quote_count={"$numberLong": "8"},
        labels=[label],
        mood="fine",
    )
    document["author"]["labels"] = ["odd"]
    document["record"]["shape"] = {"$numberInt": "3"}
    assert migrate_lines(con, tmp_path, document).stored == 1
    (row,) = stored(con, tmp_path, RawFeedPost)
    assert row["indexed_at"] == at
    counts = ("like_count", "reply_count", "repost_count", "quote_count")
    assert [row[name] for name in counts] == [5, 6, 7, 8]
    assert row["post_labels"] == [{**label, "cts": at, "neg": False, "exp": None}]
    assert row["author_labels"] == []
    assert json.loads(row["record"]["unknown_fields"]) == {
        "shape": 3,
        "document": {"mood": "fine"},
        "author": {"labels": ["odd"]},
    }


ANOTHER_FEED = {**old_document(1)["metadata"], "source_feed": "week"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not_json"),
        (b"\xff", "not_json"),
        ([1], "bad_field"),
        ({**old_document(1), "author": "did:plc:a"}, "bad_field"),
        ({**old_document(1), "like_count": "5"}, "bad_field"),
        ({**old_document(1), "indexed_at": "soon"}, "bad_field"),
        ({key: value for key, value in old_document(1).items() if key != "uri"}, "missing_field"),
        ({**old_document(1), "record": {**old_document(1)["record"], "embed": "{"}}, "bad_embed"),
        (old_document(0), "repeated"),
        (
            {**old_document(1), "metadata": {**ANOTHER_FEED, "synctimestamp": "x"}},
            "bad_synctimestamp",
        ),
    ],
)
def test_an_unreadable_line_is_quarantined_as_it_stands(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, line: Any, reason: str
) -> None:
    report = migrate_lines(con, tmp_path, old_document(0), b"", line, old_document(2))
    assert [row["uri"] for row in stored(con, tmp_path, RawFeedPost)] == [uri(0), uri(2)]
    (kept,) = stored(con, tmp_path, Quarantined)
    assert (kept["reason"], kept["position"], kept["origin"]) == (reason, "3", "posts.jsonl")
    assert kept["content"] == (line if isinstance(line, bytes) else json.dumps(line).encode())
    assert (report.rows, report.stored) == (3, 2)


def test_a_post_of_two_feeds_is_two_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    report = migrate_lines(
        con, tmp_path, old_document(1), {**old_document(1), "metadata": ANOTHER_FEED}
    )
    assert report.stored == 2
    again = migrate_lines(con, tmp_path, old_document(1))
    assert again.stored == 1
    assert len(stored(con, tmp_path, RawFeedPost)) == 2


def test_a_missing_export_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(NotAnExport, match="there is no file"):
        legacy_mongo.migrate(con, lake_of(tmp_path), tmp_path / "x.jsonl", chosen(tmp_path))


def test_rows_without_a_day_are_quarantined_today(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    migrate_rows(con, tmp_path, old_row(1, uri="x"), old_row(2, synctimestamp="x"))
    days = {partition.day for partition in lake_of(tmp_path).partitions(Quarantined)}
    assert days == {DAY, today(chosen(tmp_path).timezone)}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of commands."""
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()


def run(*arguments: str | Path) -> str:
    """What a command of `migrate` prints."""
    result = CliRunner().invoke(migrate.app, [str(argument) for argument in arguments])
    if result.exception:
        raise result.exception
    return result.output


def test_the_commands_tell_what_became_of_every_row(tmp_path: Path, data_dir: Path) -> None:
    rows = [*(old_row(number) for number in range(1200)), old_row(1200, uri="x")]
    database = write_database(tmp_path / "old.db", rows)
    output = run("legacy-sqlite", database)
    assert "1,201 rows: 1,200 stored, 1 quarantined" in output
    assert "quarantined  bad_uri  1" in output
    export = write_export(tmp_path / "posts.jsonl", [old_document(1), b"{"])
    assert "2 rows: 1 stored, 1 quarantined" in run("legacy-mongo", export)
    with duckdb.connect(str(data_dir / "bsky.duckdb")) as catalogue:
        counts = catalogue.sql(
            "SELECT (SELECT count(*) FROM raw_firehose_posts), "
            "(SELECT count(*) FROM raw_feed_posts), (SELECT count(*) FROM quarantine)"
        ).fetchall()
    assert counts == [(1200, 1, 2)]


def test_the_commands_rewrite_what_is_of_an_earlier_contract(
    tmp_path: Path, data_dir: Path
) -> None:
    run("legacy-sqlite", write_database(tmp_path / "old.db", [old_row(1)]))
    assert "every stored partition is of today's contract" in run("plan")
    pointer = data_dir / "lake" / "raw_firehose_posts" / f"sync_day={DAY}" / "current.json"
    stored_pointer = json.loads(pointer.read_text())
    pointer.write_text(json.dumps({**stored_pointer, "contract": "earlier"}))
    assert "1 partitions are of an earlier contract" in run("apply", "--dry-run")
    assert json.loads(pointer.read_text())["contract"] == "earlier"
    assert "rewrote 1 partitions with 1 rows" in run("apply")
    assert json.loads(pointer.read_text())["contract"] == stored_pointer["contract"]
    (data_dir / "bsky.duckdb").unlink()
    assert "every stored partition is of today's contract" in run("apply")
    assert (data_dir / "bsky.duckdb").is_file(), "killed before this, it does it when run again"


def test_a_missing_file_is_one_line(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(NotALegacyDatabase, match="there is no file"):
        run("legacy-sqlite", tmp_path / "none.db")
