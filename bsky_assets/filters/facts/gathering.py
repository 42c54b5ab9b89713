"""What only the whole day can tell of a post, gathered before the filters run.

Each source of facts (`moderation`, `accounts`, `campaigns`) adds rows of post, filter and reason.
The columns of a batch come from them: for each filter a reason to stop the post, or null, and
one for what is evidence and no reason yet.
What does not belong here: how a source finds its facts.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa

from bsky_assets.contracts import ConsolidatedPost, RawModerationLabel
from bsky_assets.filters.config import FactsConfig
from bsky_assets.filters.facts import accounts, campaigns, moderation
from bsky_assets.filters.posts import CAMPAIGN, fact_column
from bsky_assets.filters.registry import declared
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.places import StoredPath, read_schema
from bsky_assets.storage.shape import has_shape
from bsky_assets.storage.sql import literal, read_parquet
from bsky_assets.sync_day import look_back

Facts = dict[str, tuple[np.ndarray, pa.StringArray]]
"""For each filter the rows of the day that it has a fact on, ascending, and the reasons."""


@contextmanager
def under_todays_contract(
    con: duckdb.DuckDBPyConnection, lake: Lake, partition: Partition
) -> Iterator[Partition]:
    """`partition` of consolidated posts as it is, or for the time a copy under today's contract.

    Raises:
        ContractViolation: it was written under an earlier one and cannot be read as today's.
    """
    if has_shape(ConsolidatedPost, read_schema(partition.path)):
        yield partition
        return
    lake.attach(con)
    lake.root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".upcast-", dir=lake.root) as folder:
        path = Path(folder, "posts.parquet")
        con.execute(f"COPY ({select_rows(ConsolidatedPost, [partition])}) TO {literal(path)}")
        yield replace(partition, path=path)


def gather(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    path: StoredPath,
    at: datetime,
    config: FactsConfig,
    trusted: Sequence[str],
) -> Facts:
    """The facts on the posts in the file `path`, which is the consolidated posts of `day`.

    `at` is the instant at which labels must be in force; `trusted` are the labelers that count.
    """
    lake.attach(con)
    con.execute(
        "CREATE OR REPLACE TEMP VIEW day_posts AS "
        "SELECT * RENAME (file_row_number AS row) FROM "
        + read_parquet([path], "file_row_number = true")
    )
    window = look_back(day)
    lake.relation(con, ConsolidatedPost, window, passing_over=window).create_view(
        "earlier_posts", replace=True
    )
    lake.relation(con, RawModerationLabel, [*window, day], passing_over=window).create_view(
        "labels", replace=True
    )
    return facts_of_views(con, at, config, trusted)


def facts_of_views(
    con: duckdb.DuckDBPyConnection,
    at: datetime,
    config: FactsConfig,
    trusted: Sequence[str],
) -> Facts:
    """The facts that the views `day_posts`, `earlier_posts` and `labels` hold.

    Where several sources speak of the same post, the first of them has the word: labels, then
    the lists and habits of accounts, then campaigns.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE facts (row BIGINT, filter VARCHAR, reason VARCHAR, "
        "priority INTEGER)"
    )
    moderation.add_facts(con, trusted, at)
    accounts.add_facts(con, config.bot)
    campaigns.add_facts(con, config.campaigns)
    return {name: _rows(con, name) for name in (*(one.name for one in declared()), CAMPAIGN)}


def _rows(con: duckdb.DuckDBPyConnection, name: str) -> tuple[np.ndarray, pa.StringArray]:
    found = con.sql(
        "SELECT row, arg_min(reason, (priority, reason)) AS reason FROM facts "
        f"WHERE filter = {literal(name)} GROUP BY row ORDER BY row"
    ).to_arrow_table()
    return found["row"].to_numpy(), found["reason"].combine_chunks()


def fact_columns(facts: Facts, start: int, count: int) -> dict[str, pa.StringArray]:
    """The facts on `count` posts from row `start` on, as a column for each filter."""
    return {
        fact_column(name): _column(rows, reasons, start, count)
        for name, (rows, reasons) in facts.items()
        if len(rows)
    }


def _column(rows: np.ndarray, reasons: pa.StringArray, start: int, count: int) -> pa.StringArray:
    first, last = np.searchsorted(rows, [start, start + count])
    places = np.full(count, -1)
    places[rows[first:last] - start] = np.arange(first, last)
    return reasons.take(pa.array(places, mask=places < 0))
