"""Connections of DuckDB that keep to the limits of the settings."""

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
    """A connection of its own; close it, or use it as a context manager."""
    return duckdb.connect(":memory:", config=connection_config(settings))
