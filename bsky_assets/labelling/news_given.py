"""How many of a day's labels were made with news, and why the others were not."""

from datetime import date

import duckdb

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.details import ContextDetails, NewsGiven
from bsky_assets.contracts.news import NewsContext
from bsky_assets.labelling.asking.questions import NEWS
from bsky_assets.labelling.news_texts import CLOSED, IF_UNCLEAR, has_context, reads_news
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

NO_NAME = "no name shared with the news"
NOT_NEAR = "no article near enough"
CLEAR = "clear without it"
NONE_AT_ALL = "no news at all"

_GIVEN = f"""
    SELECT CASE
        WHEN list_contains(label.context, {literal(NEWS)}) THEN NULL
        WHEN gate = {literal(CLOSED)} THEN {literal(NOT_NEAR)}
        WHEN gate = {literal(IF_UNCLEAR)} THEN {literal(CLEAR)}
        ELSE {literal(NO_NAME)} END AS why, count(*)
    FROM labelling_rows AS label LEFT JOIN (FROM given_context WHERE rank = 1) USING (uri)
    WHERE is_label_of_record GROUP BY why ORDER BY why
"""


def news_given(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date, row: type[Row]
) -> NewsGiven | None:
    """Of the labels of record in the table `labelling_rows`; None where no news is read for them.

    `problem` says in one line why there is none at all, where that is so.
    """
    if row is not LlmLabel or not reads_news(settings):
        return None
    lake.relation(con, NewsContext, [day]).create_view("given_context", replace=True)
    counted = dict(con.sql(_GIVEN).fetchall())
    given = counted.pop(None, 0)
    if problem := _problem(lake, settings, day):
        return NewsGiven(without={NONE_AT_ALL: sum(counted.values())}, problem=problem)
    return NewsGiven(given=given, without=counted)


def _problem(lake: Lake, settings: Settings, day: date) -> str | None:
    if not has_context(settings):
        return "news is not shown to help this model by this prompt (context_effect)"
    partition = lake.current(NewsContext, day)
    if partition is None:
        return f"there is no news_context of {day}; materialise it, and llm_labels after it"
    return partition.told(ContextDetails).problem
