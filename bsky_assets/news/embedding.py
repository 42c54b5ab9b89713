"""The vectors of a day's articles, in `article_embeddings`."""

from datetime import date

import duckdb
import pyarrow as pa

from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.details import EmbeddingDetails
from bsky_assets.contracts.news import ArticleEmbedding, NewsArticle
from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition


def embed_articles(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> Partition:
    """Make a vector of each article of `day`; where none can be had, the details say why.

    Raises:
        UnusableDataDirectory: the partition cannot be written.
    """
    inputs = made_from(lake, ArticleEmbedding, day)
    articles = (
        lake.relation(con, NewsArticle, [day])
        .select("article_id, concat_ws('. ', title, nullif(text, '')) AS words")
        .order("article_id")
        .to_arrow_table()
    )
    embedder, rows, details = embedder_of(settings), [], EmbeddingDetails()
    try:
        if articles.num_rows:
            name = embedder.name
            vectors = embedder.embed(articles["words"].to_pylist())
            details = EmbeddingDetails(model=name)
            rows = [
                {"article_id": article_id, "model": name, "vector": vector}
                for article_id, vector in zip(
                    articles["article_id"].to_pylist(), vectors.tolist(), strict=True
                )
            ]
    except UserError as problem:
        details = EmbeddingDetails(problem=str(problem))
    table = pa.Table.from_pylist(rows, schema=arrow_schema(ArticleEmbedding))
    return lake.write(ArticleEmbedding, day, table, details, made_from=inputs)
