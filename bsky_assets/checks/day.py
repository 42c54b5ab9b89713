"""The checks of all assets on one day, asked again: what stands now, whenever they were made.

Those of a codebook's labels are on the page of its asset alone: they take as long as those of the
day's own.
"""

from collections.abc import Iterator
from datetime import date

from dagster import AssetCheckResult
from duckdb import DuckDBPyConnection

from bsky_assets.checks import (
    consolidated_posts,
    context_effect,
    filter_audit,
    filtered_posts,
    llm_labels,
    new_fields,
    news_articles,
    news_context,
    raw_feed_posts,
    raw_firehose_posts,
)
from bsky_assets.contracts import (
    RAW,
    AuditedShare,
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
)
from bsky_assets.contracts.news import ContextEffect, NewsArticle, NewsContext
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake


def evaluate_day(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> Iterator[AssetCheckResult]:
    """The outcomes for every partition of `day`, in the order of the lineage."""
    if firehose := lake.current(RawFirehosePost, day):
        yield from raw_firehose_posts.evaluate(con, lake, firehose, settings)
    if feeds := lake.current(RawFeedPost, day):
        yield from raw_feed_posts.evaluate(con, lake, feeds, settings)
    for row in RAW:
        if row not in (RawFirehosePost, RawFeedPost) and lake.current(row, day):
            yield new_fields.evaluate(con, lake, row, day)
    if consolidated := lake.current(ConsolidatedPost, day):
        yield from consolidated_posts.evaluate(con, lake, day, consolidated)
    if filtered := lake.current(FilteredPost, day):
        yield from filtered_posts.evaluate(lake, filtered)
    yield from _news(con, lake, settings, day)
    if labels := lake.current(LlmLabel, day):
        yield from llm_labels.evaluate(con, lake, settings, labels)
    if audit := lake.current(AuditedShare, day):
        yield from filter_audit.evaluate(con, lake, settings, audit)


def _news(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> Iterator[AssetCheckResult]:
    """Where the settings name news; what was stored of it while they did is not looked at."""
    if not settings.news_feeds:
        return
    if articles := lake.current(NewsArticle, day):
        yield from news_articles.evaluate(articles)
    if given := lake.current(NewsContext, day):
        yield from news_context.evaluate(con, lake, settings, given)
    if effect := lake.current(ContextEffect, day):
        yield from context_effect.evaluate(settings, effect)
