"""A sample of posts for people to label: a file for annotators, and the design behind it.

The file is blind: it tells nothing of the model's labels, nor of the strata, which may be made
of them. The design stays in the data directory, and is found again by the sample's name.
What does not belong here: reading what annotators filled in; see `gold`.
"""

import csv
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb
import orjson

from bsky_assets.contracts import LlmLabel, Row, ScoredPost
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.errors import UserError
from bsky_assets.labelling.answer_sql import answer_as_text
from bsky_assets.labelling.asking.answers import NONE
from bsky_assets.labelling.asking.questions import CONTEXT, Question
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.sample import stratum_sql
from bsky_assets.labelling.statistics.allocation import allocate
from bsky_assets.storage.files import staged, unique_id, write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

SHOWN = ("sample", "item", "uri", "text", *CONTEXT)
STRATA = {
    "label": f"coalesce(political_ideology, {literal(NONE)})",
    "day": "sync_day::VARCHAR",
    "context": "CASE WHEN len(context) > 0 THEN 'with context' ELSE 'without' END",
    "score": stratum_sql("political"),
    "confidence": (
        "CASE WHEN confidence IS NULL THEN 'unknown' WHEN confidence < 0.6 THEN 'below 0.6' "
        "WHEN confidence < 0.9 THEN '0.6 to 0.9' ELSE '0.9 and more' END"
    ),
}
"""What a sample can be stratified by: the model's label, the sync day, whether there is context,
the groups of a student's scores, how sure the model says it is."""
_NO_DOUBT_KNOWN = 0.5
"""The spread of the model's errors in a stratum of which nothing is known: the largest."""

_NAME = re.compile(r"sample-[0-9a-f]{8}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")


class NothingToSample(UserError):
    """There are no labelled posts on these days."""


@dataclass(frozen=True, slots=True)
class Design:
    """How a sample was drawn."""

    sample: str
    days: tuple[str, ...]
    stratified_by: tuple[str, ...]
    sizes: Mapping[str, int]
    """Labelled posts of each stratum."""
    posts: Mapping[str, str]
    """The stratum of each post of the sample, by URI."""


def export(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    days: Sequence[date],
    size: int,
    by: Sequence[str],
    target: Path,
    *,
    row: type[Row] = LlmLabel,
    seed: int | None = None,
    spreads: Mapping[str, float] | None = None,
) -> Design:
    """Draw `size` labelled posts of `days`, stratified `by`, and write them to `target`.

    The labels are those of `row`; people fill in columns for its codebook. A stratum gives by the
    square root of its size or, where the `spreads` of the model's errors are known, by its size
    times its spread.

    Raises:
        NothingToSample: no post of `days` is labelled.
        UserError: there is no such way to stratify.
        UnusableDataDirectory: the file or the design cannot be written.
    """
    if unknown := [name for name in by if name not in STRATA]:
        raise UserError(f"cannot stratify by {unknown[0]!r}; there are {', '.join(STRATA)}")
    labelled = _labelled(con, lake, days, by, row)
    if not labelled:
        raise NothingToSample(
            f"no labelled posts on {days[0]} to {days[-1]}; materialise {row.asset} first"
            if days
            else f"no labelled posts; materialise {row.asset} first"
        )
    dice = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    drawn = _draw(labelled, size, dice, spreads)
    sizes = {name: len(posts) for name, posts in labelled.items()}
    strata = {uri: name for name, posts in drawn.items() for uri, _ in posts}
    design = Design(f"sample-{unique_id()[:8]}", tuple(map(str, days)), tuple(by), sizes, strata)
    items = [post for posts in drawn.values() for post in posts]
    random.Random(seed).shuffle(items)  # noqa: S311 -- so that order tells nothing of strata
    write_json(_design_file(ledger, design.sample), asdict(design))
    shown = {one.hash: shown_of(one) for one in ledger.questions(con, [key for _, key in items])}
    to_fill_in = (*answer_names(row), "notes")
    rows = (
        [design.sample, number, uri, *(shown[key].get(name, "") for name in ("text", *CONTEXT))]
        + [""] * len(to_fill_in)
        for number, (uri, key) in enumerate(items, start=1)
        if key in shown  # its author may have deleted its words since
    )
    write_csv(target, (*SHOWN, *to_fill_in), rows)
    return design


def answer_names(row: type[Row]) -> tuple[str, ...]:
    """What the answers to a codebook are called in files."""
    if issubclass(row, CodebookLabel):
        return (row.codebook.name,)
    return "is_sociopolitical", "political_ideology"


def load_design(ledger: Ledger, sample: str) -> Design | None:
    """The design of the sample of that name, if it was drawn here."""
    path = _design_file(ledger, sample)
    if not _NAME.fullmatch(sample) or not path.is_file():
        return None
    return Design(**orjson.loads(path.read_bytes()))


def designs(ledger: Ledger) -> list[Path]:
    """Where the designs of the samples are that were drawn here."""
    return sorted(_design_file(ledger, "").parent.glob("*.json"))


def _design_file(ledger: Ledger, sample: str) -> Path:
    return ledger.root / "samples" / f"{sample}.json"


def _labelled(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    days: Sequence[date],
    by: Sequence[str],
    row: type[Row],
) -> dict[str, list[tuple[str, str]]]:
    """URI and question of every labelled post, by stratum, in a fixed order."""
    strata = STRATA if row is LlmLabel else STRATA | {"label": answer_as_text(row)}
    stratum = " || ' · ' || ".join(strata[name] for name in by) or "'all'"
    found: dict[str, list[tuple[str, str]]] = {}
    for day in days:
        lake.relation(con, row, [day]).create_view("sampled_labels", replace=True)
        scores = lake.relation(con, ScoredPost, [day], passing_over=[day])
        scores.select("uri, political").create_view("sampled_scores", replace=True)
        rows = con.execute(
            f"""
            SELECT {stratum}, uri, question_hash
            FROM (SELECT *, ?::DATE AS sync_day FROM sampled_labels)
            LEFT JOIN sampled_scores USING (uri)
            WHERE is_label_of_record AND was_successfully_labeled ORDER BY uri
            """,
            [day],
        ).fetchall()
        for name, uri, question_hash in rows:
            found.setdefault(name, []).append((uri, question_hash))
    return found


def _draw(
    labelled: Mapping[str, list[tuple[str, str]]],
    size: int,
    dice: random.Random,
    spreads: Mapping[str, float] | None,
) -> dict[str, list[tuple[str, str]]]:
    drawn = quotas({name: len(posts) for name, posts in labelled.items()}, size, spreads)
    return {name: dice.sample(labelled[name], count) for name, count in sorted(drawn.items())}


def quotas(
    sizes: Mapping[str, int], size: int, spreads: Mapping[str, float] | None = None
) -> dict[str, int]:
    """How many of `size` posts each stratum gives: by the square root of its posts or, where the
    `spreads` of the model's errors are known, by its posts times its spread (Neyman)."""
    weights = spreads and {
        name: posts * spreads.get(name, _NO_DOUBT_KNOWN) for name, posts in sizes.items()
    }
    return allocate(sizes, size, weights=weights)


def shown_of(question: Question) -> dict[str, str]:
    """The text of a question and each piece of its context, as people read them."""
    given = orjson.loads(question.payload)
    shown = {"text": given["text"]}
    for kind in CONTEXT:
        value = given.get(kind)
        if isinstance(value, dict):
            value = " – ".join(value.values())
        elif isinstance(value, list):
            value = "\n".join(value)
        if value:
            shown[kind] = value
    return shown


def write_csv(target: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a file that spreadsheets read as what it is: its encoding, and no text as a formula.

    Raises:
        UnusableDataDirectory: it cannot be written.
    """
    with staged(target.absolute()) as path, path.open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.writer(out)
        for row in (header, *rows):
            writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])


def guarded(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula; `unguarded` undoes it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
