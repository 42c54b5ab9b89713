"""What is shown of a day's report beside the link to it: tables in Markdown, for Dagster's UI."""

from datetime import date

from bsky_assets.analysis.estimating.shares import day_shares
from bsky_assets.errors import UserError
from bsky_assets.exports.markdown import escaped, table
from bsky_assets.reporting.page import Fact, Facts, Page
from bsky_assets.reporting.rendering import as_text
from bsky_assets.settings import Settings


def answer_table(page: Page) -> str:
    """The numbers of the answer as a table in Markdown."""
    facts = [
        fact
        for section in page.answer
        for block in section.blocks
        if isinstance(block, Facts)
        for fact in block.facts
    ]
    return "\n".join(table(("", "this day", "days before"), map(_row, facts)))


def _row(fact: Fact) -> tuple[str, str, str]:
    return fact.name, as_text(fact.value), fact.against


def corrected_table(settings: Settings, day: date) -> str:
    """The shares corrected by what people coded, as a table in Markdown; or why there are none."""
    try:
        found = day_shares(settings, day)
    except UserError as why:
        return escaped(why)
    rows = ((name, one.corrected, f"{one.naive.value:.3f}") for name, one in found.shares.items())
    lines = table(("label", "corrected, with its 95% interval", "by the model alone"), rows)
    return "\n".join([*lines, "", f"{found.coded} posts coded by people: {escaped(found.sample)}"])
