"""What the exact search for articles costs, beside numpy, and how it grows with the articles.

python -m benchmarks.news_search [ARTICLES [POSTS]]
"""

import sys
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.measuring import cpu_seconds, peak_mb, report
from bsky_assets.labelling.embedding.packaged import Vectors, of_length_one
from bsky_assets.news.gate import NEAREST, Articles, nearest
from bsky_assets.settings import Settings

WIDTH = 384
NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
WARMING = 4
"""Posts that are searched for before time is taken."""


def some_articles(vectors: Vectors) -> Articles:
    """Articles with these vectors."""
    names = [f"{number:06}" for number in range(len(vectors))]
    rows = {name: {"published_at": NOON} for name in names}
    return Articles(rows, dict(zip(names, vectors, strict=True)), {})


def some_posts(count: int) -> pa.Table:
    """Posts of an hour after all articles."""
    at = pa.array([NOON.replace(hour=13)] * count, pa.timestamp("us", tz="UTC"))
    return pa.table({"uri": [f"at://{number:06}" for number in range(count)], "at": at})


def by_numpy(posts: Vectors, articles: Vectors) -> list[list[int]]:
    """The places of the nearest articles of each post, by one product of matrices."""
    distances = 1 - posts @ articles.T
    some = np.argpartition(distances, NEAREST, axis=1)[:, :NEAREST]
    order = np.take_along_axis(distances, some, axis=1).argsort(axis=1)
    places: list[list[int]] = np.take_along_axis(some, order, axis=1).tolist()
    return places


def measured(articles: int, posts: int) -> tuple[float, float]:
    """CPU seconds a post, by the gate's search and by numpy, which find the same."""
    dice = np.random.default_rng(5)
    shelf, asked = (
        of_length_one(dice.standard_normal((count, WIDTH), np.float32))
        for count in (articles, posts)
    )
    settings, stored = Settings(_env_file=None), some_articles(shelf)
    with duckdb.connect() as con:
        nearest(con, settings, some_posts(WARMING), asked[:WARMING], stored)
        ours, found = cpu_seconds(lambda: nearest(con, settings, some_posts(posts), asked, stored))
    theirs, places = cpu_seconds(lambda: by_numpy(asked, shelf))
    same = [[int(name) for name, _ in near] for near in found.values()]
    if same != places:
        raise AssertionError("the two do not find the same articles")
    return ours / posts, theirs / posts


def main(articles: int = 50_000, posts: int = 40) -> None:
    """Search among a quarter of the articles, half and all; print one line of JSON."""
    sizes = (articles // 4, articles // 2, articles)
    costs = {size: measured(size, posts) for size in sizes}
    ours, theirs = costs[articles]
    report(
        "news_search",
        articles=articles,
        width=WIDTH,
        posts=posts,
        cpu_seconds_a_post=round(ours, 4),
        numpy_cpu_seconds_a_post=round(theirs, 4),
        ratio=round(ours / theirs, 2),
        growth={str(size): round(cost / ours, 3) for size, (cost, _) in costs.items()},
        peak_mb=peak_mb(),
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
