"""Connections of DuckDB that keep to the limits of the settings."""

from typing import Any

import duckdb

from bsky_assets.settings import Settings


def connection_config(settings: Settings) -> dict[str, Any]:
    """DuckDB's limits: memory, and where it spills to."""
    return {
        "memory_limit": settings.memory_limit,
        "temp_directory": str(settings.data_dir / "spill"),
    }


def connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection of its own; close it, or use it as a context manager."""
    return duckdb.connect(":memory:", config=connection_config(settings))
