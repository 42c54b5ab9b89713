"""The vectors of news articles."""

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.news_articles import news_articles
from bsky_assets.contracts.details import EmbeddingDetails
from bsky_assets.contracts.news import ArticleEmbedding
from bsky_assets.news.embedding import embed_articles
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(ArticleEmbedding, group="news", kinds={"openai"}, deps=[news_articles])
def article_embeddings(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """A vector of each article, by BSKY_EMBEDDINGS_MODEL or the extra `embeddings`.

    No text goes to the same endpoint and model twice. Where there is no model the partition is
    empty and says so, and posts are labelled without news.
    """
    with making(ArticleEmbedding, context, data, duckdb) as run:
        partition = embed_articles(run.con, run.lake, data.settings, run.day)
    told = partition.told(EmbeddingDetails)
    if told.problem:
        context.log.warning(told.problem)
    model = told.model or told.problem or "nothing to embed"
    return run.result(partition, model=MetadataValue.text(model))
