"""Connections of DuckDB: within the limits of the settings, and without its bars of progress.

After two seconds DuckDB draws a bar into standard output where a process looks interactive to it,
and so does one that another has spawned.
"""

from typing import Any

import duckdb

from bsky_assets.settings import Settings
from bsky_assets.storage.budget import share


def connection_config(settings: Settings) -> dict[str, Any]:
    """DuckDB's limits: memory, threads, and where it spills to."""
    mine = share(settings)
    return {
        "memory_limit": f"{mine.duckdb_memory // 10**6}MB",
        "threads": mine.threads,
        "temp_directory": str(settings.spill_dir),
    }


def connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection that keeps to the limits of the settings; close it, or use it as a context
    manager."""
    return without_bars(duckdb.connect(":memory:", config=connection_config(settings)))


def in_memory() -> duckdb.DuckDBPyConnection:
    """A connection without limits, for what is small; likewise."""
    return without_bars(duckdb.connect())


def without_bars(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """`con`, which draws no bars from now on."""
    return con.execute("SET enable_progress_bar = false")
