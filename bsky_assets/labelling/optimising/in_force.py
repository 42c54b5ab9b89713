"""The codebook whose wording is in force, and the labels that were made by it."""

from dataclasses import dataclass
from datetime import date

import duckdb

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import Codebook, CodebookLabel
from bsky_assets.labelling.asking.prompt import codebook_in
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
        UnusablePrompt, UnusableCodebook: the folder of BSKY_LLM_PROMPT has none for `llm_labels`.
    """
    return row.codebook if issubclass(row, CodebookLabel) else codebook_in(settings.llm_prompt)


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
