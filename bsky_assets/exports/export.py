"""An export: days of tables, with their data dictionary and provenance beside them."""

import glob
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.contracts import (
    LEDGER,
    FilteredPost,
    LlmAnswer,
    LlmLabel,
    LlmPrompt,
    Row,
)
from bsky_assets.contracts.codebooks import CodebookLabel, holds_labels
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.contracts.leaving import has_posts, is_of_posts
from bsky_assets.contracts.lineage import meant
from bsky_assets.contracts.provenance import PROVENANCE
from bsky_assets.errors import BadUsage, UserError
from bsky_assets.exports.deletions import Removed
from bsky_assets.exports.dictionary import dictionary
from bsky_assets.exports.levels import LABELS, Form, Level, forms_of
from bsky_assets.exports.metadata import CRATE, CROISSANT, crate, croissant
from bsky_assets.exports.named import register_named
from bsky_assets.exports.provenance import Export, ExportedFile, prompt_file, provenance, readme
from bsky_assets.exports.pseudonyms import pseudonym_key, register_pseudonyms
from bsky_assets.exports.register import PastExport, record_export
from bsky_assets.exports.tables import write_csv, write_parquet
from bsky_assets.settings import Settings
from bsky_assets.storage.files import remove_unfinished, unfinished, unusable
from bsky_assets.storage.lake import GRACE, Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_days
from bsky_assets.storage.provenance import tables
from bsky_assets.storage.upcasts import Stored, select
from bsky_assets.sync_day import now

Format = Literal["parquet", "csv"]

DEFAULT_ASSETS: tuple[type[Row], ...] = (FilteredPost, LlmLabel)
"""Posts with their verdicts, and labels: what analyses begin with."""

_WRITERS: dict[Format, Callable[..., int]] = {"parquet": write_parquet, "csv": write_csv}


class NothingToExport(UserError):
    """There is nothing stored of what was asked for."""


class NoSuchTable(BadUsage):
    """There is no table of this name to export."""


class FolderNotEmpty(UserError):
    """The folder that was to be made has something in it."""


def default_assets(lake: Lake) -> tuple[type[Row], ...]:
    """What is exported if nothing is named: posts, labels, and the answers to each codebook."""
    return (*DEFAULT_ASSETS, *(row for row in lake.rows if issubclass(row, CodebookLabel)))


def assets_named(lake: Lake, names: Sequence[str]) -> tuple[type[Row], ...]:
    """The tables with these names.

    Raises:
        NoSuchTable: there is none of this name; the message says what comes close.
    """
    known = {row.asset: row for row in (*lake.tables, *LEDGER, *PROVENANCE)}
    for name in names:
        if name not in known:
            raise NoSuchTable(f"there is no table {name!r}{meant(name, known)}")
    return tuple(known[name] for name in names)


def export(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    days: Sequence[date],
    out: Path,
    format: Format = "parquet",  # noqa: A002 -- what it is called on the command line
    assets: Sequence[type[Row]] = DEFAULT_ASSETS,
    prompt_files: Sequence[Path] = (),
    answer_files: Sequence[Path] = (),
    level: Level = "restricted",
) -> Export:
    """Write the rows of `assets` on `days` into the new folder `out`, a file a table.

    Beside them are README.md and provenance.json (versions, counts, gaps, prompts),
    DATA_DICTIONARY.md, SHA256SUMS and the prompts. The folder appears when it is complete.

    Args:
        con: does the writing.
        lake: has the rows.
        settings: say the sync timezone of a lake that keeps none yet.
        days: rising, at least one.
        out: must not be there, or be empty.
        format: of the files of rows.
        assets: the tables.
        prompt_files: files of `LlmPrompt` rows, in which the labels' prompts are looked up.
        answer_files: files of `LlmAnswer` rows.
        level: how much of a post is given away. A level other than restricted has tables of its
            own, made from posts and labels, and the other `assets` are none of them.

    Raises:
        NothingToExport: nothing is stored of any of the tables on these days.
        FolderNotEmpty: `out` has something in it.
        UnusableKey: there is a key of pseudonyms, and it is no use.
        Refused, Unanswered: the AppView does not say how many followers accounts have.
        ContractViolation: a partition cannot be read under today's contract.
        UnusableDataDirectory: `out` cannot be written.
    """
    if level != "restricted":
        assets = default_assets(lake)
    stored = {
        row: [partition for partition in lake.partitions(row) if partition.day in days]
        for row in assets
        if row not in (*LEDGER, *PROVENANCE)
    }
    files: dict[type[Row], Sequence[Path]] = {LlmPrompt: prompt_files, LlmAnswer: answer_files}
    ledger = {row: _of_days(files[row], days) for row in files if row in assets}
    told = _told(lake, days, assets)
    if not any((*stored.values(), *ledger.values(), *(table.num_rows for table in told.values()))):
        raise NothingToExport(
            f"nothing is stored of {', '.join(row.asset for row in assets)} from {days[0]} to "
            f"{days[-1]}; `bsky-assets status` shows what is"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderNotEmpty(f"{out} is there already; name a new folder, or empty it")
    lake.attach(con)
    temporary = unfinished(out)
    remove_unfinished(out.parent.glob(f".{glob.escape(out.name)}.*"), now() - GRACE)
    removed = Removed(con, lake, days if any(map(has_posts, stored)) else ())
    named = None
    if level == "restricted":
        given = [*_as_stored(stored, ledger), *_registered(con, told)]
    else:
        named = _prepare(con, settings, level, stored, removed)
        given = [
            _Given(form.row, form.of, select_days(form.of, stored[form.of]), stored[form.of], form)
            for form in forms_of(level, (row for row, found in stored.items() if found))
        ]
    try:
        temporary.mkdir(parents=True)
        made = Export(
            days=days,
            level=level,
            named=named,
            files=[_file(con, each, removed, temporary, format) for each in given],
            prompts=_prompts(con, _labels(stored), prompt_files),
            made_at=now(),
            timezone=lake.timezone or settings.sync_timezone,
        )
        _describe(made, lake, temporary)
        posts = [each.stored for each in given if is_of_posts(each.of)]
        _record(con, settings, out, made, posts)
        temporary.replace(out)
    except OSError as error:
        raise unusable(out.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return made


@dataclass(frozen=True)
class _Given:
    """A file of rows that is to be written."""

    row: type[Row]
    of: type[Row]
    """The table that the rows are stored in."""
    stored: str
    """SQL for them."""
    partitions: Sequence[Partition]
    form: Form | None = None
    """What is made of them; None for nothing."""


def _as_stored(
    stored: Mapping[type[Row], Sequence[Partition]], ledger: Mapping[type[Row], Sequence[Stored]]
) -> Iterator[_Given]:
    for row, found in stored.items():
        if found:
            yield _Given(row, row, select_days(row, found), found)
    for row, files in ledger.items():
        if files:
            yield _Given(row, row, select(row, files, sync_day=True), ())


def _registered(
    con: duckdb.DuckDBPyConnection, told: Mapping[type[Row], pa.Table]
) -> Iterator[_Given]:
    for row, table in told.items():
        if table.num_rows:
            con.register(f"exported_{row.asset}", table)
            yield _Given(row, row, f"SELECT * FROM exported_{row.asset}", ())


def _record(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    out: Path,
    made: Export,
    rows: Sequence[str],
) -> None:
    """Keep whose posts were given, if any were."""
    if rows:
        days = [day.isoformat() for day in made.days]
        export = PastExport(str(out.absolute()), made.level, made.made_at, days)
        record_export(con, settings.data_dir, export, rows)


def _prepare(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    level: Level,
    stored: Mapping[type[Row], Sequence[Partition]],
    removed: Removed,
) -> int | None:
    """Make what the forms of `level` refer to; how many accounts it names, if it may name any."""
    labels = removed.without(LlmLabel, select_days(LlmLabel, stored[LlmLabel]))
    con.execute(f"CREATE OR REPLACE TEMP VIEW {LABELS} AS {labels}")
    if level != "public":
        return None
    register_pseudonyms(con, pseudonym_key(settings.data_dir))
    posts = select_days(FilteredPost, stored[FilteredPost])
    return register_named(con, settings, removed.without(FilteredPost, posts))


def _file(
    con: duckdb.DuckDBPyConnection,
    given: _Given,
    removed: Removed,
    folder: Path,
    format: Format,  # noqa: A002 -- likewise
) -> ExportedFile:
    path = folder / f"{given.row.asset}.{format}"
    kept = removed.without(given.of, given.stored)
    rows = _WRITERS[format](con, given.row, given.form.select(kept) if given.form else kept, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    left_out = removed.counts(given.of, given.stored)
    size = path.stat().st_size
    return ExportedFile(given.row, path, rows, size, digest, given.partitions, left_out)


def _told(
    lake: Lake, days: Sequence[date], assets: Sequence[type[Row]]
) -> dict[type[Row], pa.Table]:
    """The tables of provenance among `assets`, of these days."""
    wanted = [row for row in assets if row in PROVENANCE]
    every = tables(lake) if wanted else {}
    return {row: every[row].filter(pc.field("sync_day").isin(list(days))) for row in wanted}


def _of_days(files: Sequence[Path], days: Sequence[date]) -> list[Stored]:
    return [file for file in _stored(files) if file.day in days]


def _stored(files: Sequence[Path]) -> list[Stored]:
    """Files of the ledger of answers, which are in folders of days."""
    days = (path.parent.name.removeprefix("sync_day=") for path in files)
    return [
        Stored(date.fromisoformat(day), path, is_current=False)
        for day, path in zip(days, files, strict=True)
    ]


def _labels(stored: Mapping[type[Row], Sequence[Partition]]) -> list[Partition]:
    """The partitions that were made with a prompt."""
    return [partition for row, found in stored.items() if holds_labels(row) for partition in found]


def _prompts(
    con: duckdb.DuckDBPyConnection, labels: Sequence[Partition], files: Sequence[Path]
) -> list[dict[str, Any]]:
    versions = {partition.told(LabelDetails).prompt_version for partition in labels}
    if not files or not versions:
        return []
    rows = select(LlmPrompt, _stored(files))
    prompts: list[dict[str, Any]] = con.sql(rows).to_arrow_table().to_pylist()
    return [prompt for prompt in prompts if prompt["prompt_version"] in versions]


def _describe(made: Export, lake: Lake, folder: Path) -> None:
    (folder / "README.md").write_text(readme(made, lake), "utf-8")
    (folder / "provenance.json").write_bytes(provenance(made, lake))
    rows = [file.row for file in made.files]
    (folder / "DATA_DICTIONARY.md").write_text(dictionary(rows), "utf-8")
    sums = "".join(f"{file.sha256}  {file.path.name}\n" for file in made.files)
    (folder / "SHA256SUMS").write_text(sums, "utf-8")
    if made.prompts:
        (folder / "prompts").mkdir()
    for prompt in made.prompts:
        schema = orjson.dumps(orjson.loads(prompt["answer_schema"]), option=orjson.OPT_INDENT_2)
        text = f"{prompt['system_prompt']}\n\n--- schema of the answer ---\n{schema.decode()}\n"
        (folder / "prompts" / prompt_file(prompt)).write_text(text, "utf-8")
    (folder / CROISSANT).write_bytes(croissant(made))
    names = [prompt_file(prompt) for prompt in made.prompts]
    (folder / CRATE).write_bytes(crate(made, names))
