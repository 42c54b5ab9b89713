"""What assets are handed: the stored data of the platform, and connections to work on them.

What belongs here: the Dagster resources. What does not: any work of theirs; it is in `storage`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
from dagster._core.definitions.resource_annotation import TreatAsResourceParam
from dagster_duckdb import DuckDBResource

from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import connection_config, without_bars
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True)
class DataDirectory(TreatAsResourceParam):
    """The data directory of the settings: the lake, and the catalogue that shows it."""

    settings: Settings

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    @contextmanager
    def published(self) -> Iterator[None]:
        """Show in the catalogue what was stored in the block, even if it failed half-way."""
        try:
            yield
        finally:
            publish(self.settings)


class QuietDuckDB(DuckDBResource):
    """Connections that draw no bars into what commands print."""

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for a block."""
        with super().get_connection() as con:
            yield without_bars(con)


def duckdb_resource(settings: Settings) -> DuckDBResource:
    """Connections that keep to the memory limit and spill to the data directory beyond it."""
    return QuietDuckDB(database=":memory:", connection_config=connection_config(settings))
