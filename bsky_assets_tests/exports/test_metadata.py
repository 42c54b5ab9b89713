"""Other machines can read what an export says of itself: Croissant's reader, and RO-Crate's."""

import json
from datetime import timedelta
from pathlib import Path
from typing import get_args

import duckdb
import mlcroissant
import pytest
from rocrate.rocrate import ROCrate

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.exports.export import Format, export
from bsky_assets.exports.levels import Level
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import NOON, filtered_post, table

DAY = NOON.date()


@pytest.fixture
def made(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    kind, level = request.param
    chosen = Settings(_env_file=None, data_dir=tmp_path / "data")
    lake = Lake(chosen.lake_dir)
    posts = [filtered_post(number, f"post {number}") for number in range(3)]
    lake.write(FilteredPost, DAY, table(FilteredPost, posts))
    lake.write(LlmLabel, DAY, table(LlmLabel, []))
    with duckdb.connect() as con:
        days = [DAY, DAY + timedelta(days=1)]
        export(con, lake, chosen, days, tmp_path / "out", kind, level=level)
    return tmp_path / "out"


EVERY = [(kind, level) for kind in get_args(Format) for level in get_args(Level)]


@pytest.mark.parametrize("made", EVERY, indirect=True, ids="-".join)
def test_croissant_describes_the_tables_and_its_reader_reads_them(made: Path) -> None:
    described = mlcroissant.Dataset(jsonld=str(made / "croissant.json"))
    assert described.metadata.issues.errors == set()
    assert described.metadata.issues.warnings == set()
    rows = {path.stem: path for path in made.iterdir() if path.suffix in (".csv", ".parquet")}
    assert {one.id for one in described.metadata.record_sets} == set(rows)
    for one in described.metadata.record_sets:
        with duckdb.connect() as con:
            columns = con.sql(f"FROM '{rows[one.id]}'").columns
        assert [field.source.extract.column for field in one.fields] == columns


@pytest.mark.parametrize("made", EVERY, indirect=True, ids="-".join)
def test_the_crate_has_every_file_and_no_other(made: Path) -> None:
    crate = ROCrate(made)
    there = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {part.id for part in crate.root_dataset["hasPart"]} == there - {crate.metadata.id}
    assert crate.license.id.startswith("https://")
    assert crate.root_dataset["datePublished"]
    graph = json.loads((made / crate.metadata.id).read_text())["@graph"]
    for entity in graph:
        if entity["@type"] == "File" and "contentSize" in entity:
            assert int(entity["contentSize"]) == (made / entity["@id"]).stat().st_size
