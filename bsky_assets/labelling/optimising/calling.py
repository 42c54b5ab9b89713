"""One call of the search: the file of labels by people, the data directory, and a budget."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.progress import Reporter
from bsky_assets.labelling.asking.budget import Budget
from bsky_assets.labelling.asking.prompt import codebook_in
from bsky_assets.labelling.day import row_of
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.news_texts import has_context
from bsky_assets.labelling.optimising.asked import Asked
from bsky_assets.labelling.optimising.coded import coded_posts
from bsky_assets.labelling.optimising.optimise import Outcome, Plan, optimise
from bsky_assets.labelling.optimising.written import FILE
from bsky_assets.labelling.statistics.gold import read_gold
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import today


@dataclass(frozen=True, slots=True)
class Made:
    """Labels of record by a wording."""

    labels: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call."""

    outcome: Outcome
    folder: Path
    """Where it is kept."""
    asset: str
    """Of the labels by this codebook."""
    made: Made | None
    """Labels by the wording in force."""


def optimise_file(
    settings: Settings,
    gold: Path,
    codebook: str | None,
    budget: Budget,
    report: Reporter,
    *,
    openings: int,
    gain: float,
    seed: int,
) -> Called:
    """Search for better words for a codebook (None: that of `llm_labels`).

    Raises:
        UnusableGold: the file cannot be read.
        UnusablePrompt, UnusableCodebook: the folder of BSKY_LLM_PROMPT has none for `llm_labels`.
        UserError: as `optimise`.
    """
    lake, ledger = Lake.of(settings), ledger_of(settings)
    with connect(settings) as con:
        row = row_of(lake, codebook)
        own = row.codebook if issubclass(row, CodebookLabel) else codebook_in(settings.llm_prompt)
        posts = coded_posts(con, lake, ledger, read_gold(gold, row=row), row)
        ledger.seal_abandoned()
        day = max((post.day for post in posts if post.day), default=today(settings.timezone))
        folder = settings.optimising_dir / own.name
        model = Asked(
            con, settings, day, folder / FILE, budget, report,
            has_news=row is LlmLabel and has_context(settings),
        )  # fmt: skip
        plan = Plan(settings.label_of_record, settings.llm_batch_size, openings, gain, seed)
        outcome = optimise(model, own, posts, folder, plan)
        made = _labels_by(con, lake, model.version(own), row)
    return Called(outcome, folder, own.asset, made)


def _labels_by(
    con: duckdb.DuckDBPyConnection, lake: Lake, prompt_version: str, row: type[Row]
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
