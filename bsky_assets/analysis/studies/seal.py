"""Sealing a study: a folder with all that its numbers depend on, and no word of a post.

In it are declaration, rows, a hash of each cell, the prompt, results, versions and checksums.
"""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.analysis.studies.declaration import Study
from bsky_assets.analysis.studies.register import ENTRY, RESULTS, folder_of
from bsky_assets.analysis.studies.results import numbers_of, rows_of
from bsky_assets.contracts import LlmPrompt, Row
from bsky_assets.errors import UserError
from bsky_assets.exports.deletions import Removed
from bsky_assets.exports.export import FolderNotEmpty
from bsky_assets.exports.register import PastExport, record_export
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import connect, in_memory
from bsky_assets.storage.files import unfinished, unusable
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import identifier
from bsky_assets.sync_day import now, parse_days

STUDY, ROWS, CELLS, PROMPT = "study.toml", "rows.parquet", "cells.parquet", "prompt.txt"
VERSIONS, README, SUMS = "versions.json", "README.md", "SHA256SUMS"
_PACKAGES = ("bsky_assets", "duckdb", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")
_DIGITS = 12
"""Of a cell's SHA-256."""
_TOLD = """\
# A sealed study

`study.toml` is the declaration, `rows.parquet` has a row for each post of its population (address,
author, label, columns of formulas, chances, what people said) in the order of their addresses,
`prompt.txt` is what the model was asked with, `results.json` has every number, and `cells.parquet`
the first twelve hex digits of the SHA-256 of each cell of the rows.

    bsky-assets study verify FOLDER

computes every number again from these files, without network. `sha256sum -c SHA256SUMS` compares
the files alone.
"""


class CannotSeal(UserError):
    """A study cannot be sealed: it is not run, its data changed since, or its level forbids it."""


def seal(settings: Settings, study: Study, source: Path, out: Path) -> int:
    """Write the sealed folder `out` of the study, whose file is `source`; returns its rows.

    Raises:
        CannotSeal: there are no results, or what is stored gives others now.
        FolderNotEmpty: `out` has something in it.
        UnusableDataDirectory: it cannot be written.
    """
    if study.level == "restricted":
        raise CannotSeal(f"the level of {study.name} is restricted: its rows stay here")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderNotEmpty(f"{out} is there already; name a new folder, or empty it")
    folder = folder_of(settings, study)
    if not (folder / RESULTS).exists():
        raise CannotSeal(f"there are no results of {study.name} as it is declared: run it first")
    results = orjson.loads((folder / RESULTS).read_bytes())
    days = parse_days(study.days, settings.timezone)
    rows = rows_of(settings, study, days, results["sample"]["name"])
    asked = [{key: one[key] for key in one if key != "found"} for one in results["estimates"]]
    outcomes = study.codebook.all_outcomes
    if numbers_of(rows, asked, results["sample"]["name"], days, outcomes) != results["estimates"]:
        raise CannotSeal(f"what is stored gives {study.name} other numbers now: run it again")
    files = {
        STUDY: source.read_bytes(),
        PROMPT: _prompt(settings, study).encode(),
        RESULTS: orjson.dumps(results, option=orjson.OPT_INDENT_2),
        ENTRY: (folder / ENTRY).read_bytes(),
        VERSIONS: orjson.dumps(_versions(study.row(settings)), option=orjson.OPT_INDENT_2),
        README: _TOLD.encode(),
    }
    with connect(settings) as con:
        lake = Lake.of(settings)
        lake.attach(con)
        _none_removed(con, Removed(con, lake, days), rows)
        _write(out, files, rows)
        past = PastExport(str(out.absolute()), study.level, now(), [str(day) for day in days])
        record_export(con, settings.data_dir, past, ["SELECT uri FROM sealed_rows"])
    return int(rows.num_rows)


def _none_removed(con: duckdb.DuckDBPyConnection, removed: Removed, rows: pa.Table) -> None:
    """See that no post is known to be deleted; `removed` has made the table of those that are."""
    con.register("sealed_rows", rows)
    ((gone,),) = con.sql(
        "SELECT count(*) FROM sealed_rows WHERE uri IN (SELECT uri FROM removed)"
    ).fetchall()
    if gone:
        raise CannotSeal(
            f"{gone:,} of its posts were deleted since: `bsky-assets maintain`, and run it again"
        )


def _write(out: Path, files: dict[str, bytes], rows: pa.Table) -> None:
    """Make the folder; it appears when it is complete."""
    temporary = unfinished(out)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        pq.write_table(rows, temporary / ROWS, compression="zstd")
        pq.write_table(cells_of(rows), temporary / CELLS, compression="zstd")
        names = sorted(path.name for path in temporary.iterdir())
        sums = "".join(f"{sha256(temporary / name)}  {name}\n" for name in names)
        (temporary / SUMS).write_text(sums, "utf-8")
        if out.exists():
            out.rmdir()
        temporary.replace(out)
    except OSError as error:
        raise unusable(out.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cells_of(rows: pa.Table) -> pa.Table:
    """The beginning of the SHA-256 of each cell, in the place of the cell."""
    with in_memory() as con:
        con.register("sealed_rows", rows)
        hashed = ", ".join(
            f"left(sha256(coalesce('=' || {name}::VARCHAR, '')), {_DIGITS}) AS {name}"
            for name in map(identifier, rows.column_names)
        )
        return con.sql(f"SELECT {hashed} FROM sealed_rows").to_arrow_table()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prompt(settings: Settings, study: Study) -> str:
    wanted = study.codebook.prompt_version
    for path in Ledger(settings.ledger_dir).files(LlmPrompt):
        for row in pq.ParquetFile(path).read(["prompt_version", "system_prompt"]).to_pylist():
            if row["prompt_version"] == wanted:
                return str(row["system_prompt"])
    raise CannotSeal(f"the ledger has no prompt {wanted}: materialise its labels anew")


def _versions(row: type[Row]) -> dict[str, Any]:
    versions: dict[str, Any] = {name: version(name) for name in _PACKAGES}
    return {**versions, "labelling": labelling_version(row)}
