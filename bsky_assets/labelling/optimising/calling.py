"""One call of the search: the file of labels by people, the data directory, and a budget."""

from dataclasses import dataclass
from pathlib import Path

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.progress import Reporter
from bsky_assets.labelling.asking.budget import Budget
from bsky_assets.labelling.day import row_of
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.news_texts import has_context
from bsky_assets.labelling.optimising.asked import Asked
from bsky_assets.labelling.optimising.coded import coded_posts
from bsky_assets.labelling.optimising.in_force import Made, codebook_in_force, labels_by
from bsky_assets.labelling.optimising.optimise import Outcome, Plan, optimise
from bsky_assets.labelling.optimising.written import FILE
from bsky_assets.labelling.statistics.gold import read_gold
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import today


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
        UserError: as `optimise`.
    """
    lake, ledger = Lake.of(settings), ledger_of(settings)
    with connect(settings) as con:
        row = row_of(lake, codebook)
        own = codebook_in_force(settings, row)
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
        made = labels_by(con, lake, model.version(own), row)
    return Called(outcome, folder, own.asset, made)
