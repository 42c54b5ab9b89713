"""No post is told of an article that was not there yet, or that is too old."""

from collections.abc import Iterator
from datetime import timedelta

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import FilteredPost
from bsky_assets.contracts.details import ContextDetails
from bsky_assets.contracts.news import NewsArticle, NewsContext
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_BEFORE_POSTS = AssetCheckSpec(
    "articles_came_before_posts",
    asset=NewsContext.asset,
    description="Each article appeared before its post, and within BSKY_NEWS_WINDOW_DAYS.",
)
SPECS = [_BEFORE_POSTS]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> list[AssetCheckResult]:
    return [
        check(
            _BEFORE_POSTS,
            _problems(con, lake, settings, partition),
            checked=partition.rows,
            nothing=partition.told(ContextDetails).problem or "no post is near an article",
            is_error=True,
        )
    ]


def _problems(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> Iterator[str]:
    window = settings.news_window_days
    days = [partition.day - timedelta(days=back) for back in range(window + 1)]
    lake.relation(con, NewsContext, [partition.day]).create_view("checked_context", replace=True)
    lake.relation(con, NewsArticle, days).create_view("checked_articles", replace=True)
    lake.relation(con, FilteredPost, [partition.day]).create_view("checked_posts", replace=True)
    ((late, old),) = con.execute(
        """
        SELECT count(*) FILTER (article.published_at > post.indexed_at),
            count(*) FILTER (article.published_at < post.indexed_at - to_days($window::INTEGER))
        FROM checked_context JOIN checked_posts AS post USING (uri)
        JOIN checked_articles AS article USING (article_id)
        """,
        {"window": window},
    ).fetchall()
    if late:
        yield f"{late:,} posts are told of an article that appeared after them"
    if old:
        yield f"{old:,} posts are told of an article from before the window"
