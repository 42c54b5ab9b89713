"""The gate: which posts of a day are asked about with which article.

A post is told of an article if a name in the news is in both and the article is near enough; or,
without such a name, if it is near enough and the first answer about the post is unclear. Near
enough is a distance and, above all, a margin: how much farther the nearest article about something
else is, since distances of short texts mean little by themselves. An article that appeared after a
post, or before the window, is never looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from bsky_assets.contracts import FilteredPost, arrow_schema
from bsky_assets.contracts.details import ContextDetails
from bsky_assets.contracts.news import ArticleEmbedding, NewsArticle, NewsContext
from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.labelling.embedding.packaged import Packaged, Vectors
from bsky_assets.labelling.news_texts import CLOSED, IF_UNCLEAR, NAME
from bsky_assets.news.names import names_in_the_news, proper_names, shared_name, terms
from bsky_assets.news.topics import told_topic, topics_of
from bsky_assets.settings import Settings
from bsky_assets.storage.files import write_json
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import bounds

NEAREST = 20
"""Articles that are looked at for each post."""
_WITHOUT_NAME = 2
"""So many times the margin is asked for where post and article share no name."""
_ALIKE = 0.85
"""Of the usual distance of two articles: two that are nearer, and share terms, are alike."""


@dataclass(frozen=True)
class Gate:
    """What is near enough."""

    largest_distance: float = 0.7
    least_margin: float = 0.08

    def opens(self, distance: float, margin: float) -> bool:
        """Whether an article at `distance`, so much nearer than others, is near enough."""
        return distance <= self.largest_distance and margin >= self.least_margin


USUAL = {Packaged.name: Gate(0.54, 0.15)}
"""The gate for vectors of models that it was measured with; for those of others it is `Gate()`."""


def gate_of(settings: Settings, model: str) -> Gate:
    """The gate that was calibrated for vectors of `model`, or else the usual one."""
    try:
        kept = orjson.loads(_path(settings).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        kept = {}
    return Gate(**kept[model]) if model in kept else USUAL.get(model, Gate())


def keep_gate(settings: Settings, model: str, gate: Gate) -> Path:
    """Make `gate` the one for vectors of `model`; returns where it is kept."""
    path = _path(settings)
    kept = orjson.loads(path.read_bytes()) if path.exists() else {}
    write_json(path, {**kept, model: vars(gate)})
    return path


def _path(settings: Settings) -> Path:
    return settings.data_dir / "news" / "gate.json"


@dataclass(frozen=True)
class Articles:
    """The articles of a window that a post may be told of."""

    rows: Mapping[str, dict[str, Any]]
    """By identifier."""
    vectors: Mapping[str, Vectors]
    words: Mapping[str, set[str]]
    """Terms of title and text."""

    @cached_property
    def usual_distance(self) -> float:
        """The mean cosine distance of two of them."""
        vectors = np.array([*self.vectors.values()])
        count, total = len(vectors), vectors.sum(axis=0)
        pairs = count * (count - 1)
        return 1 - (float(total @ total) - count) / pairs if pairs else 1.0


def judge_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> Partition:
    """Find the article of each post of `day` that passed the filters, and store it.

    Where there are no vectors the partition is empty, and its details say why.

    Raises:
        UnusableDataDirectory: the partition cannot be written.
    """
    inputs = made_from(lake, NewsContext, day)
    embedder = embedder_of(settings)
    rows: list[dict[str, Any]] = []
    try:
        model = embedder.name
        articles = _articles(con, lake, settings, day, model)
        if articles.rows:
            rows, told = _judged(con, lake, settings, day, articles)
        else:
            told = ContextDetails(problem="there is no article with a vector in the window")
    except UserError as problem:
        told = ContextDetails(problem=str(problem))
    table = pa.Table.from_pylist(rows, schema=arrow_schema(NewsContext))
    return lake.write(NewsContext, day, table, told, made_from=inputs)


def _judged(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    day: date,
    articles: Articles,
) -> tuple[list[dict[str, Any]], ContextDetails]:
    embedder, posts = embedder_of(settings), _posts(con, lake, settings, day)
    texts = dict(zip(posts["uri"].to_pylist(), posts["text"].to_pylist(), strict=True))
    titles = {one: (row["title"], len(row["outlets"])) for one, row in articles.rows.items()}
    names = names_in_the_news(titles, texts.values())
    near = nearest(con, settings, posts, embedder.embed([*texts.values()]), articles)
    gate = gate_of(settings, embedder.name)
    rows: list[dict[str, Any]] = []
    for uri, found in near.items():
        rows += _rows(uri, texts[uri], found, names, articles, gate, settings, embedder.name)
    at = dict(zip(posts["uri"].to_pylist(), posts["at"].to_pylist(), strict=True))
    opened = {
        row["uri"]: row["article_id"] for row in rows if row["rank"] == 1 and row["gate"] != CLOSED
    }
    published = {one: row["published_at"] for one, row in articles.rows.items()}
    topics = topics_of(
        opened,
        at,
        published,
        timedelta(days=settings.news_window_days),
        lambda one, other: _same_story(one, other, names, articles),
    )
    rows = [{**row, **told_topic(topics.get(row["uri"]))} for row in rows]
    first = [row["gate"] for row in rows if row["rank"] == 1]
    return sorted(rows, key=lambda row: (row["uri"], row["rank"])), ContextDetails(
        posts=len(texts),
        articles=len(articles.rows),
        names=len(names),
        opened=first.count(NAME),
        if_unclear=first.count(IF_UNCLEAR),
        largest_distance=gate.largest_distance,
        least_margin=gate.least_margin,
        model=embedder.name,
    )


def _posts(con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date) -> pa.Table:
    """uri, text and time of the posts of `day` that passed; never a time after the day."""
    lake.relation(con, FilteredPost, [day]).create_view("news_posts", replace=True)
    _, end = bounds(day, settings.timezone)
    return con.sql(
        """
        SELECT uri, record.text AS text, least(indexed_at, $end) AS at FROM news_posts
        WHERE passed_filters AND indexed_at IS NOT NULL AND record.text <> '' ORDER BY uri
        """,
        params={"end": end},
    ).to_arrow_table()


def _articles(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date, model: str
) -> Articles:
    """Those of the window before `day` and of `day`, in English as far as is known."""
    days = [day - timedelta(days=back) for back in range(settings.news_window_days + 1)]
    lake.relation(con, NewsArticle, days).create_view("news_all", replace=True)
    lake.relation(con, ArticleEmbedding, days).create_view("news_vectors", replace=True)
    found = con.sql(
        """
        SELECT article_id, any_value(title) AS title, any_value(text) AS text,
            any_value(outlets) AS outlets, min(published_at) AS published_at,
            any_value(vector) AS vector
        FROM news_all JOIN (FROM news_vectors WHERE model = $model) USING (article_id)
        WHERE coalesce(language, 'en') = 'en' GROUP BY article_id ORDER BY article_id
        """,
        params={"model": model},
    ).to_arrow_table()
    vectors = [np.asarray(vector, np.float32) for vector in found["vector"].to_pylist()]
    rows = {row["article_id"]: row for row in found.drop(["vector"]).to_pylist()}
    return Articles(
        rows,
        dict(zip(rows, vectors, strict=True)),
        {one: terms(f"{row['title']} . {row['text']}") for one, row in rows.items()},
    )


def nearest(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    posts: pa.Table,
    vectors: Vectors,
    articles: Articles,
) -> dict[str, list[tuple[str, float]]]:
    """For each post the nearest articles that had appeared, and how far they are; exactly."""
    width = vectors.shape[1]
    flat = pa.FixedSizeListArray.from_arrays
    con.register("news_asked", posts.append_column("v", flat(pa.array(vectors.ravel()), width)))
    every = np.array([*articles.vectors.values()], np.float32)
    con.register(
        "news_shelf",
        pa.table(
            {
                "article_id": [*articles.rows],
                "published_at": pa.array(
                    [row["published_at"] for row in articles.rows.values()],
                    pa.timestamp("us", tz="UTC"),
                ),
                "v": flat(pa.array(every.ravel()), width),
            }
        ),
    )
    # No condition joins them: a join would copy both vectors of each pair, and take four times as
    # long. A distance from a text without words is none.
    rows = con.sql(
        f"""
        SELECT uri, arg_min(article_id, distance, {NEAREST}) AS nearest, min(distance, {NEAREST})
        FROM (
            SELECT uri, article_id, CASE
                WHEN b.published_at <= a.at AND b.published_at >= a.at - to_days($window::INTEGER)
                THEN nullif(array_cosine_distance(a.v, b.v), 'nan') END AS distance
            FROM news_asked AS a, news_shelf AS b
        )
        GROUP BY uri HAVING nearest IS NOT NULL ORDER BY uri
        """,
        params={"window": settings.news_window_days},
    ).fetchall()
    return {
        uri: sorted(zip(nearest, distances, strict=True), key=lambda pair: (pair[1], pair[0]))
        for uri, nearest, distances in rows
    }


def _rows(
    uri: str,
    text: str,
    near: Sequence[tuple[str, float]],
    names: frozenset[str],
    articles: Articles,
    gate: Gate,
    settings: Settings,
    model: str,
) -> Iterator[dict[str, Any]]:
    """The article of a post, with others of its story if more than one may be told."""
    article_id, distance, name = _candidate(text, near, names, articles)
    others = [far for one, far in near if not _alike(one, article_id, names, articles)]
    margin = min(others, default=near[-1][1]) - distance
    is_near = gate.opens(distance, margin if name else margin / _WITHOUT_NAME)
    if name is None and not is_near:
        return
    decided = (NAME if name else IF_UNCLEAR) if is_near else CLOSED
    story = (pair for pair in near if _same_story(pair[0], article_id, names, articles))
    ranked = [(article_id, distance), *(pair for pair in story if pair[0] != article_id)]
    told = ranked[: settings.news_articles if is_near else 1]
    for rank, (one, far) in enumerate(told, 1):
        yield {
            "uri": uri,
            "article_id": one,
            "gate": decided,
            "name": name,
            "distance": far,
            "margin": margin,
            "rank": rank,
            "told": told_of(articles.rows[one], settings.news_characters),
            "model": model,
        }


def _candidate(
    text: str, near: Sequence[tuple[str, float]], names: frozenset[str], articles: Articles
) -> tuple[str, float, str | None]:
    """The nearest article that shares a name with the post, and the name; else the nearest."""
    for article_id, distance in near:
        if name := shared_name(text, names, articles.words[article_id]):
            return article_id, distance, name
    return *near[0], None


def _alike(one: str, other: str, names: frozenset[str], articles: Articles) -> bool:
    """Whether two articles are nearer than most, and share a name and something else."""
    if one == other:
        return True
    distance = 1 - float(articles.vectors[one] @ articles.vectors[other])
    shared = articles.words[one] & articles.words[other] & names
    return distance <= articles.usual_distance * _ALIKE and len(shared) > 1


def _same_story(one: str, other: str, names: frozenset[str], articles: Articles) -> bool:
    """Whether two articles are alike, and not of two towns: one has all that the other's title
    names."""
    if one == other:
        return True
    named = {each: proper_names(articles.rows[each]["title"]) for each in (one, other)}
    return _alike(one, other, names, articles) and any(
        named[each] and named[each] <= articles.words[another]
        for each, another in ((one, other), (other, one))
    )


def told_of(article: Mapping[str, Any], characters: int) -> str:
    """What a model is told of an article: outlet, day, title, and how its text begins."""
    published: datetime = article["published_at"]
    outlet = article["outlets"][0]["name"]
    words = f"{outlet}, {published:%Y-%m-%d}: {article['title']}. {article['text']}".strip()
    return words if len(words) <= characters else words[: characters - 1] + "…"
