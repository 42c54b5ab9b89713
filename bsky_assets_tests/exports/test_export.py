"""An export holds exactly what is stored, says where it is from, and hurts no spreadsheet."""

import base64
import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bsky_assets.commands.export import export as command
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import (
    ALL,
    LEDGER,
    ConsolidatedPost,
    FilteredPost,
    LlmAnswer,
    LlmLabel,
    LlmPrompt,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
    arrow_schema,
    columns,
)
from bsky_assets.contracts.news import NEWS, VIEWS
from bsky_assets.contracts.provenance import PROVENANCE
from bsky_assets.contracts.published import PUBLISHED
from bsky_assets.contracts.survival import SURVIVAL
from bsky_assets.exports.dictionary import dictionary
from bsky_assets.exports.export import (
    FolderNotEmpty,
    NoSuchTable,
    NothingToExport,
    assets_named,
    export,
)
from bsky_assets.exports.markdown import escaped, table
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.places import ROOT
from testbed.rows import account_status, firehose_post, post_deletion
from testbed.rows import table as rows_of

DAY = date(2026, 3, 8)
DAYS = [DAY, DAY + timedelta(days=1)]
DOCS = ROOT / "docs" / "data_dictionary.md"

texts = st.text(
    alphabet=st.one_of(
        st.sampled_from("=+-@'\t\r\n\"|,;[]"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=8,
)
VALUES = {
    pa.string(): texts,
    pa.int64(): st.integers(-(2**53), 2**53),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False, width=32),
    pa.bool_(): st.booleans(),
    pa.binary(): st.binary(max_size=8),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(UTC)),
}


def values(kind: pa.DataType, nullable: bool) -> st.SearchStrategy[Any]:
    """Values of a column of a contract."""
    if pa.types.is_struct(kind):
        some = st.fixed_dictionaries({f.name: values(f.type, f.nullable) for f in kind})
    elif pa.types.is_list(kind):
        some = st.lists(values(kind.value_type, kind.value_field.nullable), max_size=2)
    else:
        some = VALUES[kind]
    return st.none() | some if nullable else some


def tables(row: type[Row]) -> st.SearchStrategy[pa.Table]:
    schema = arrow_schema(row)
    rows = st.lists(values(pa.struct(list(schema)), nullable=False), min_size=1, max_size=3)
    return rows.map(lambda each: pa.Table.from_pylist(each, schema=schema))


def chosen(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        yield connection


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(chosen(tmp_path).lake_dir)


EXAMPLES = {
    "string": "x",
    "int64": 1,
    "double": 1.5,
    "bool": True,
    "timestamp[us, tz=UTC]": datetime(2026, 3, 8, 12, tzinfo=UTC),
}


def label(**changed: Any) -> pa.Table:
    schema = arrow_schema(LlmLabel)
    example = {field.name: EXAMPLES.get(str(field.type), []) for field in schema}
    return pa.Table.from_pylist([{**example, **changed}], schema=arrow_schema(LlmLabel))


def as_csv(name: str, value: Any, kind: pa.DataType) -> Iterator[tuple[str, Any]]:
    """What a value should be after a round trip: flat, with lists as JSON would have them."""
    if pa.types.is_struct(kind):
        for field in kind:
            inner = None if value is None else value[field.name]
            yield from as_csv(f"{name}.{field.name}", inner, field.type)
    else:
        yield name, value


def from_csv(text: str | None, kind: pa.DataType) -> Any:
    """Undo what the README says was done to a value."""
    if text is None:
        return None
    if pa.types.is_string(kind):
        return text[1:] if re.match(r"'+[=+\-@\t\r\n]", text) else text
    if pa.types.is_binary(kind):
        return base64.b64decode(text)
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(text)
    if pa.types.is_boolean(kind):
        return text == "true"
    if pa.types.is_list(kind):
        return from_json(json.loads(text), kind)
    return (int if pa.types.is_integer(kind) else float)(text)


def from_json(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [from_json(each, kind.value_type) for each in value]
    if pa.types.is_struct(kind):
        return {field.name: from_json(value[field.name], field.type) for field in kind}
    return datetime.fromisoformat(value) if pa.types.is_timestamp(kind) else value


def read_csv(path: Path) -> list[dict[str, str | None]]:
    """The rows, null told from an empty text by its quotes."""
    with duckdb.connect() as reader:
        rows = reader.sql(
            f"FROM read_csv('{path}', header = true, all_varchar = true, delim = ',', "
            "quote = '\"', escape = '\"', allow_quoted_nulls = false)"
        )
        named: list[dict[str, str | None]] = rows.to_arrow_table().to_pylist()
    return named


def leaves(row: type[Row]) -> dict[str, pa.DataType]:
    kinds: dict[str, pa.DataType] = {}
    lists = [column.name for column in columns(row) if pa.types.is_list(column.type)]
    for column in columns(row):
        if not pa.types.is_struct(column.type) and not any(
            column.name.startswith(f"{each}.") for each in lists
        ):
            kinds[column.name] = column.type
    return kinds


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), row=st.sampled_from([FilteredPost, LlmLabel, Quarantined]))
def test_csv_and_parquet_hold_what_is_stored(
    con: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    row: type[Row],
) -> None:
    folder = tmp_path_factory.mktemp("export")
    lake = Lake(chosen(folder).lake_dir)
    stored = data.draw(tables(row))
    lake.write(row, DAY, stored)
    export(con, lake, chosen(folder), DAYS, folder / "p", "parquet", [row])
    export(con, lake, chosen(folder), DAYS, folder / "c", "csv", [row])
    parquet = pq.read_table(folder / "p" / f"{row.asset}.parquet").to_pylist()
    assert parquet == [{"sync_day": DAY, **each} for each in stored.to_pylist()]
    flat = read_csv(folder / "c" / f"{row.asset}.csv")
    kinds = leaves(row)
    assert list(flat[0]) == ["sync_day", *kinds]
    for written, original in zip(flat, stored.to_pylist(), strict=True):
        expected = dict(
            pair for f in arrow_schema(row) for pair in as_csv(f.name, original[f.name], f.type)
        )
        for name, kind in kinds.items():
            assert from_csv(written[name], kind) == expected[name], name
            if pa.types.is_string(kind):
                assert not re.match(r"[=+\-@\t\r\n]", written[name] or "")


def test_a_formula_is_text_to_a_spreadsheet(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path
) -> None:
    lake.write(LlmLabel, DAY, label(error='=HYPERLINK("http://a.test")', slot="p0"))
    export(con, lake, chosen(tmp_path), [DAY], tmp_path / "out", "csv", [LlmLabel])
    with (tmp_path / "out" / "llm_labels.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["error"] == '\'=HYPERLINK("http://a.test")'
    assert row["slot"] == "p0"
    assert row["label_timestamp"] == "2026-03-08T12:00:00.000000Z"


DETAILS = {
    "completeness": {
        "received_from": "2026-03-08T00:00:00Z",
        "received_to": "2026-03-08T23:00:00Z",
        "gap_count": 1,
        "missing_events": 41,
        "gaps": [
            {
                "host": "relay.test",
                "after": 1,
                "before": 43,
                "missing": 41,
                "reason": "<script>alert(1)</script> | [link](http://evil.test) `x`",
            }
        ],
    }
}
FEED_DETAILS = {
    "feeds": {"today": {"uri": "at://a", "pages": 3, "items": 250, "ended": "end", "problem": None}}
}
LABEL_DETAILS = {
    "prompt_version": "abc",
    "schema_version": "def",
    "models": [
        {"model": "sandbox", "model_digest": None, "parameters": "{}", "answered": 7, "failed": 2}
    ],
}


def test_the_export_says_where_it_is_from(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path
) -> None:
    lake.write(RawFirehosePost, DAY, arrow_schema(RawFirehosePost).empty_table(), DETAILS)
    lake.write(RawFeedPost, DAY, arrow_schema(RawFeedPost).empty_table(), FEED_DETAILS)
    lake.write(LlmLabel, DAY, label(), LABEL_DETAILS)
    prompt = {
        "prompt_version": "abc",
        "schema_version": "def",
        "name": "p",
        "system_prompt": "You are asked.",
        "answer_schema": '{"type": "object"}',
        "first_used_at": datetime(2026, 3, 8, tzinfo=UTC),
    }
    prompts = tmp_path / "sync_day=2026-03-08" / "p.parquet"
    prompts.parent.mkdir()
    other = {**prompt, "prompt_version": "unused"}
    pq.write_table(pa.Table.from_pylist([prompt, other], arrow_schema(LlmPrompt)), prompts)
    out = tmp_path / "out"
    export(con, lake, chosen(tmp_path), DAYS, out, "parquet", [LlmLabel], [prompts])
    assert {path.relative_to(out).as_posix() for path in out.rglob("*")} == {
        "README.md",
        "DATA_DICTIONARY.md",
        "SHA256SUMS",
        "croissant.json",
        "provenance.json",
        "ro-crate-metadata.json",
        "llm_labels.parquet",
        "prompts",
        "prompts/abc-def.txt",
    }
    text = (out / "README.md").read_text()
    digest = hashlib.sha256((out / "llm_labels.parquet").read_bytes()).hexdigest()
    assert (out / "SHA256SUMS").read_text() == f"{digest}  llm_labels.parquet\n"
    for told in (
        "# Bluesky posts, 2026-03-08 to 2026-03-09",
        digest,
        "- llm\\_labels: no rows are stored of 2026-03-09",
        "| 2026-03-08 | relay.test | 1 | 43 | 41 |",
        "- 2026-03-09: the firehose was not collected",
        "| 2026-03-08 | today | at:\u2060//a |  | 3 | 250 |",
        "| 2026-03-08 | sandbox |  | {} | abc | def | 7 | 2 |",
        "- `prompts/abc-def.txt`",
    ):
        assert told in text
    assert "<script>" not in text
    assert "[link](" not in text
    assert "http://" not in text
    assert (out / "prompts" / "abc-def.txt").read_text().startswith("You are asked.\n")
    whole = orjson.loads((out / "provenance.json").read_bytes())
    assert whole["days"] == ["2026-03-08", "2026-03-09"]
    assert whole["files"][0]["partitions"][0]["details"] == LABEL_DETAILS
    assert whole["made_from"]["raw_firehose_posts"][0]["details"] == DETAILS
    assert "`political_ideology`" in (out / "DATA_DICTIONARY.md").read_text()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_is_known_to_be_deleted_is_left_out_and_counted(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str
) -> None:
    lake = Lake(chosen(tmp_path).lake_dir, "Asia/Tokyo")
    posts = [firehose_post("did:plc:ann", f"3k{n}", seq=n) for n in range(3)]
    posts += [firehose_post("did:plc:bob", "3kb", seq=4)]
    lake.write(RawFirehosePost, DAY, rows_of(RawFirehosePost, posts))
    consolidate_day(con, lake, DAY)
    later = DAY + timedelta(days=9)
    gone = [post_deletion("did:plc:ann", "3k1", 900), account_status("did:plc:bob", "deleted", 9)]
    lake.write(RawPostDeletion, later, rows_of(RawPostDeletion, gone))
    out = tmp_path / "out"
    assets = [RawFirehosePost, ConsolidatedPost]
    made = export(con, lake, chosen(tmp_path), [DAY], out, kind, assets)  # type: ignore[arg-type]
    told = (out / "README.md").read_text()
    for file in made.files:
        path = out / file.path.name
        uris = con.sql(f"SELECT uri FROM '{path}' ORDER BY uri").fetchall()
        assert [uri.rpartition("/")[2] for (uri,) in uris] == ["3k0", "3k2"]
        assert file.rows == 2
        for reason in ("deleted", "account_deleted"):
            assert f"| {escaped(path.name)} | {escaped(reason)} | 1 |" in told
    assert "in the timezone Asia/Tokyo" in told
    assert "America/Chicago" not in told


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_models_were_asked_can_be_exported(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path, kind: str
) -> None:
    files: dict[type[Row], list[Path]] = {}
    for row in LEDGER:
        for day in (*DAYS, DAY + timedelta(days=5)):
            path = tmp_path / row.asset / f"sync_day={day}" / "part.parquet"
            path.parent.mkdir(parents=True)
            schema = arrow_schema(row)
            example = {field.name: EXAMPLES.get(str(field.type), []) for field in schema}
            pq.write_table(pa.Table.from_pylist([example], schema), path)
            files.setdefault(row, []).append(path)
    out = tmp_path / "out"
    prompts, answers = files[LlmPrompt], files[LlmAnswer]
    rows = assets_named(lake, ["llm_prompts", "llm_answers"])
    made = export(con, lake, chosen(tmp_path), DAYS, out, kind, rows, prompts, answers)  # type: ignore[arg-type]
    assert {file.path.name: file.rows for file in made.files} == {
        f"llm_prompts.{kind}": 2,
        f"llm_answers.{kind}": 2,
    }
    for file in made.files:
        days = con.sql(f"SELECT sync_day FROM '{out / file.path.name}' ORDER BY ALL").fetchall()
        assert [day for (day,) in days] == DAYS
    told = (out / "README.md").read_text()
    assert "no rows are stored" not in told


def test_a_folder_with_something_in_it_is_left_alone(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path
) -> None:
    lake.write(LlmLabel, DAY, label())
    (tmp_path / "out").mkdir()
    export(con, lake, chosen(tmp_path), [DAY], tmp_path / "out", "csv", [LlmLabel])
    before = sorted((tmp_path / "out").rglob("*"))
    with pytest.raises(FolderNotEmpty, match="is there already"):
        export(con, lake, chosen(tmp_path), [DAY], tmp_path / "out", "csv", [LlmLabel])
    assert sorted((tmp_path / "out").rglob("*")) == before


def test_a_failed_export_leaves_nothing(
    con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path
) -> None:
    written = lake.write(LlmLabel, DAY, label())
    written.path.write_bytes(b"not Parquet")
    with pytest.raises(Damaged, match="llm_labels on 2026-03-08"):
        export(con, lake, chosen(tmp_path), [DAY], tmp_path / "out", "csv", [LlmLabel])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_stored_is_said(con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(NothingToExport, match="from 2026-03-08 to 2026-03-09"):
        export(con, lake, chosen(tmp_path), DAYS, tmp_path / "out")
    with pytest.raises(NoSuchTable, match="there is no table 'posts'; "):
        assets_named(lake, ["posts"])


def test_every_column_is_in_the_dictionary() -> None:
    lines = dictionary(
        (*ALL, *NEWS, *VIEWS, *SURVIVAL, *LEDGER, *PROVENANCE, *PUBLISHED)
    ).splitlines()
    sections: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("## "):
            section = sections.setdefault(line.removeprefix("## ").strip("`"), [])
        elif line.startswith("| `"):
            section.append(line.split("|")[1].strip(" `"))
    assert sections == {
        row.asset: [column.name for column in columns(row)]
        for row in (*ALL, *NEWS, *VIEWS, *SURVIVAL, *LEDGER, *PROVENANCE, *PUBLISHED)
    }


def test_the_dictionary_in_the_docs_is_current() -> None:
    assert DOCS.read_text() == dictionary(
        (*ALL, *NEWS, *VIEWS, *SURVIVAL, *LEDGER, *PROVENANCE, *PUBLISHED)
    ), f"run: {Path(sys.executable).name} -m bsky_assets.exports.dictionary > {DOCS.name}"


@given(st.text(alphabet=st.sampled_from("ab|`*_[]()<>&\\\n#~!$:/w.@"), max_size=30))
def test_a_cell_is_one_cell_whatever_is_in_it(text: str) -> None:
    lines = table(("one", "two"), [(text, "end")])
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3
    plain = re.sub(r"\\(.)", "", escaped(text))
    assert not set(plain) & set("`*_[]<>|")


def test_the_command_writes_a_day(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    lake.write(LlmLabel, DAY, label())
    app = typer.Typer()
    app.command()(command)
    arguments = ["--day", str(DAY), "--format", "csv", "--assets", "llm_labels"]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "out")])
    get_settings.cache_clear()
    assert result.exception is None
    assert "llm_labels.csv: 1 rows" in result.output
    assert (tmp_path / "out" / "llm_labels.csv").is_file()
