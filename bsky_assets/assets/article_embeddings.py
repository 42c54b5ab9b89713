"""The vectors of news articles."""

import time

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.contracts.details import EmbeddingDetails
from bsky_assets.contracts.news import ArticleEmbedding
from bsky_assets.news.embedding import embed_articles
from bsky_assets.orchestration.materialisation import explained, result, row_asset
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory


def article_embeddings(articles: AssetsDefinition) -> AssetsDefinition:
    """The asset, made of the `articles`."""

    @row_asset(ArticleEmbedding, group="news", kinds={"openai"}, deps=[articles])
    def asset(
        context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
    ) -> MaterializeResult:
        """A vector of each article, by BSKY_EMBEDDINGS_MODEL or the extra `embeddings`.

        No text goes to the same endpoint and model twice. Where there is no model the partition is
        empty and says so, and posts are labelled without news.
        """
        started = time.monotonic()
        with explained(), data.published(), duckdb.get_connection() as con:
            day = day_of(context.partition_key)
            partition = embed_articles(con, data.lake, data.settings, day)
        told = partition.told(EmbeddingDetails)
        if told.problem:
            context.log.warning(told.problem)
        metadata = {"model": MetadataValue.text(told.model or told.problem or "nothing to embed")}
        return result(ArticleEmbedding, partition, started, metadata=metadata)

    return asset
