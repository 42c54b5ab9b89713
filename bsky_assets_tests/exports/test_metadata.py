"""Other machines can read what an export says of itself: Croissant's reader, and RO-Crate's."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest
from rocrate.rocrate import ROCrate

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.exports.export import Format, export
from bsky_assets.exports.levels import Level
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import NOON, filtered_post, table

DAY = NOON.date()
# In a process of its own: absl, which it brings, closes the stream that was standard error when it
# was imported, which is the tests' own.
READ_CROISSANT = """
import json, sys
import mlcroissant
for path in sys.argv[1:]:
    described = mlcroissant.Dataset(jsonld=path)
    issues = described.metadata.issues
    sets = described.metadata.record_sets
    columns = {one.id: [field.source.extract.column for field in one.fields] for one in sets}
    print(json.dumps({"issues": [*issues.errors, *issues.warnings], "columns": columns}))
"""
EVERY = [(kind, level) for kind in get_args(Format) for level in get_args(Level)]
every = pytest.mark.parametrize("made", range(len(EVERY)), indirect=True, ids=map("-".join, EVERY))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An export of each kind, in the order of `EVERY`; for looking at only."""
    folder = tmp_path_factory.mktemp("exports")
    chosen = Settings(_env_file=None, data_dir=folder / "data")
    lake = Lake(chosen.lake_dir)
    posts = [filtered_post(number, f"post {number}") for number in range(3)]
    lake.write(FilteredPost, DAY, table(FilteredPost, posts))
    lake.write(LlmLabel, DAY, table(LlmLabel, []))
    days, made = [DAY, DAY + timedelta(days=1)], []
    with duckdb.connect() as con:
        for kind, level in EVERY:
            made.append(folder / f"{kind}-{level}")
            export(con, lake, chosen, days, made[-1], kind, level=level)
    return made


@pytest.fixture(scope="module")
def read(exports: list[Path]) -> dict[Path, dict[str, Any]]:
    """What Croissant's reader says of each export."""
    command = [
        sys.executable,
        "-c",
        READ_CROISSANT,
        *(str(one / "croissant.json") for one in exports),
    ]
    told = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    return dict(zip(exports, map(json.loads, told), strict=True))


@pytest.fixture
def made(exports: list[Path], request: pytest.FixtureRequest) -> Path:
    return exports[request.param]


@every
def test_croissant_describes_the_tables_and_its_reader_reads_them(
    made: Path, read: dict[Path, dict[str, Any]]
) -> None:
    described = read[made]
    assert described["issues"] == []
    rows = {path.stem: path for path in made.iterdir() if path.suffix in (".csv", ".parquet")}
    assert set(described["columns"]) == set(rows)
    for name, columns in described["columns"].items():
        with duckdb.connect() as con:
            assert con.sql(f"FROM '{rows[name]}'").columns == columns


@every
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
