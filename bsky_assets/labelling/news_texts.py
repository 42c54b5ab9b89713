"""The texts of news that posts are asked with, by post: where the gate and labelling meet.

`context_of` gives the first question's context, `context_if_unclear` that of a second question,
which is asked only where the first answer is unclear. Both are mappings from a post's URI to texts;
`labelling.asking.questions.day_questions` takes one as `news`. To label a sample without and with
news, as `labels effect` does, call it with `{}` and with `context_of(...)`, and take the prompts of
`prompt_of(settings)` with `news_context` off and on: with it off, requests are what they are where
there is no news at all.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import duckdb

from bsky_assets.contracts.news import NewsContext, NewsView
from bsky_assets.labelling.asking.prompt import load_prompt
from bsky_assets.labelling.context_proof import is_proven
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

NewsTexts = Mapping[str, Sequence[str]]
"""Texts of articles, or summaries of them, by the URI of the post."""
NAME, IF_UNCLEAR, CLOSED = "name", "if_unclear", "closed"
"""What the gate says: see the column `gate` of `news_context`."""


def has_context(settings: Settings) -> bool:
    """Whether labels of record are asked for with news.

    With BSKY_NEWS_CONTEXT=proven that is so where `context_effect` has shown, for the model of
    record and the prompt with news, that labels are right more often.
    """
    if not reads_news(settings):
        return False
    if settings.news_context == "on":
        return True
    asked = load_prompt(
        settings.llm_prompt,
        has_reason=settings.llm_reason,
        has_news=True,
        has_views=settings.news_views,
    )
    return is_proven(settings, asked.version)


def reads_news(settings: Settings) -> bool:
    """Whether labels of record may be asked for with news."""
    return bool(settings.news_feeds) and settings.news_context != "off"


def context_of(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> NewsTexts:
    """The texts for the first question about posts of `day`."""
    return _texts(con, lake, day, NAME)


def context_if_unclear(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> NewsTexts:
    """The texts for a second question."""
    return _texts(con, lake, day, IF_UNCLEAR)


def _texts(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, gate: str) -> NewsTexts:
    rows = (
        lake.relation(con, NewsContext, [day])
        .filter(f"gate = {literal(gate)}")
        .aggregate("uri, list(told ORDER BY rank) AS told", "uri")
    )
    texts = dict(rows.fetchall())
    return {**texts, **_summaries(con, lake, day, gate)} if NewsView in lake.rows else texts


def _summaries(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, gate: str) -> NewsTexts:
    """What each side says, for each post whose topic has been summed up."""
    lake.relation(con, NewsContext, [day]).create_view("told_context", replace=True)
    lake.relation(con, NewsView, [day]).create_view("told_views", replace=True)
    rows = con.sql(
        f"""
        SELECT uri, list(upper(side[1]) || side[2:] || ': ' || argument ORDER BY side)
        FROM told_context JOIN told_views USING (topic_id)
        WHERE gate = {literal(gate)} AND rank = 1 GROUP BY uri
        """
    )
    return dict(rows.fetchall())
