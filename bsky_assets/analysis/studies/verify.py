"""Verifying a sealed study: every number again from its folder, and what differs by its place."""

import hashlib
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bsky_assets.analysis.studies.declaration import Study, read_study
from bsky_assets.analysis.studies.register import ENTRY, RESULTS, registered
from bsky_assets.analysis.studies.results import asked_of, numbers_of
from bsky_assets.analysis.studies.seal import CELLS, PROMPT, ROWS, STUDY, SUMS, cells_of, sha256
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.prompt import DIGITS

_CLOSE = 1e-9
"""Relative: other processors round the last digits of a sum otherwise."""
_CELLS_NAMED = 10


class NotASealedStudy(UserError):
    """The folder lacks a file of a sealed study, or has one that cannot be read."""


class SealIsBroken(UserError):
    """A sealed study is not as it was sealed, or gives other numbers."""


def differences(folder: Path) -> list[str]:
    """What in the sealed `folder` is not as it was, or comes out otherwise; empty: all is the same.

    Raises:
        NotASealedStudy: a file is not there, or cannot be read.
    """
    try:
        listed = _sums(folder)
        rows, cells = (pq.ParquetFile(folder / name).read() for name in (ROWS, CELLS))
        results = orjson.loads((folder / RESULTS).read_bytes())
        changed = [name for name, known in listed.items() if sha256(folder / name) != known]
        found = [*_of_files(folder, changed, rows, cells, results)]
        return [*found, *_of_numbers(folder, rows, results)]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise NotASealedStudy(f"{folder} is no sealed study that can be read: {reason}") from None


def _sums(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS).read_text("utf-8").splitlines()
    found = {name: known for known, _, name in (line.partition("  ") for line in lines)}
    if missing := {STUDY, ROWS, CELLS, PROMPT, RESULTS} - found.keys():
        raise ValueError(f"{SUMS} does not list {min(missing)}")
    if strange := [name for name in found if Path(name).name != name]:
        raise ValueError(f"{SUMS} lists {strange[0]!r}")
    return found


def _of_files(
    folder: Path, changed: list[str], rows: pa.Table, cells: pa.Table, results: dict[str, Any]
) -> Iterator[str]:
    """Files that changed, each by what of it did."""
    for name in changed:
        inside = _of_cells(rows, cells) if name == ROWS else []
        yield from inside or [f"{name} is not the file that was sealed"]
    prompt = hashlib.sha256((folder / PROMPT).read_bytes()).hexdigest()[:DIGITS]
    if prompt != results["prompt_version"]:
        yield f"the prompt in {PROMPT} is {prompt}, and labels are by {results['prompt_version']}"


def _of_cells(rows: pa.Table, cells: pa.Table) -> list[str]:
    """The cells that changed: file, row (from 1) and column."""
    if rows.column_names != cells.column_names or rows.num_rows != cells.num_rows:
        return [
            f"{ROWS} has {rows.num_rows:,} rows and {rows.num_columns} columns, and was sealed "
            f"with {cells.num_rows:,} and {cells.num_columns}"
        ]
    now, found = cells_of(rows), []
    for column in rows.column_names:
        is_other = pc.not_equal(now[column], cells[column]).combine_chunks()
        places = pc.indices_nonzero(is_other).to_pylist()[:_CELLS_NAMED]
        found += [f"{ROWS}, row {place + 1}, column {column} has changed" for place in places]
    return found


def _of_numbers(folder: Path, rows: pa.Table, results: dict[str, Any]) -> Iterator[str]:
    """Statements and numbers that are not those of the results."""
    yield from _unlike(
        f"{STUDY}: declaration",
        read_study(folder / STUDY).model_dump(mode="json"),
        results["declaration"],
    )
    sealed, entry = Study.model_validate(results["declaration"]), registered(folder / ENTRY)
    yield from _unlike(f"{ENTRY}: declaration", entry.declaration, sealed.hash)
    sample = results["sample"]
    yield from _unlike(f"{RESULTS}: sample.seed", sample["seed"], sealed.sample.seed)
    yield from _unlike(f"{RESULTS}: exploratory", results["exploratory"], entry.exploratory)
    asked = [(one["formula"], one["model"]) for one in results["estimates"]]
    days = [date.fromisoformat(day) for day in results["days"]]
    try:
        wanted = asked_of(sealed, entry.exploratory, asked)
        again = numbers_of(rows, wanted, sample["name"], days, sealed.codebook.all_outcomes)
    except UserError as problem:
        yield f"the numbers cannot be computed again: {problem}"
        return
    yield from _unlike(f"{RESULTS}: estimates", results["estimates"], again)


def _unlike(place: str, stands: Any, should: Any) -> Iterator[str]:
    """Where two values of JSON differ."""
    if isinstance(stands, dict) and isinstance(should, dict):
        for key in {**stands, **should}:
            yield from _unlike(f"{place}.{key}", stands.get(key), should.get(key))
    elif isinstance(stands, list) and isinstance(should, list) and len(stands) == len(should):
        for number, (one, other) in enumerate(zip(stands, should, strict=True), start=1):
            yield from _unlike(f"{place}.{number}", one, other)
    elif not _same(stands, should):
        yield f"{place} is {stands!r:.80} and should be {should!r:.80}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return bool(one == other)
