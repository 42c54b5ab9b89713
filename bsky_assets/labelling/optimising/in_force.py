"""The codebook whose wording is in force, and the labels that were made by it."""

from dataclasses import dataclass
from datetime import date

import duckdb

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import Codebook, CodebookLabel, read_codebook
from bsky_assets.labelling.asking.prompt import OWN, built_in_codebook
from bsky_assets.labelling.optimising.coded import CannotOptimise
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Made:
    """Labels of record by a wording."""

    labels: int
    first_day: date
    last_day: date


def codebook_in_force(settings: Settings, row: type[Row]) -> Codebook:
    """What the labels of `row` are asked by.

    Raises:
        CannotOptimise: the prompt is of an earlier form, which is no codebook.
        UnusableCodebook: it cannot be read.
    """
    if issubclass(row, CodebookLabel):
        return row.codebook
    if settings.llm_prompt is None:
        return built_in_codebook()
    if not (settings.llm_prompt / OWN).exists():
        raise CannotOptimise(
            f"the prompt in {settings.llm_prompt} is no codebook; write it as {OWN}, see "
            "docs/codebooks.md"
        )
    return read_codebook(settings.llm_prompt / OWN)


def labels_by(
    con: duckdb.DuckDBPyConnection, lake: Lake, prompt_version: str, row: type[Row] = LlmLabel
) -> Made | None:
    """The labels of record of `row` that were made by a prompt; None if there are none."""
    found = []
    for day in lake.days(row):
        lake.relation(con, row, [day]).create_view("made_labels", replace=True)
        counted = con.execute(
            "SELECT count(*) FROM made_labels WHERE is_label_of_record AND prompt_version = ?",
            [prompt_version],
        ).fetchone()
        if counted and counted[0]:
            found.append((day, int(counted[0])))
    if not found:
        return None
    return Made(sum(count for _, count in found), found[0][0], found[-1][0])
