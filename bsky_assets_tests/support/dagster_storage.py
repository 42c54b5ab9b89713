"""Dagster's SQLite storage without what it does anew for every event: the same rows, sooner.

For each statement Dagster makes an engine, which compiles the statement again, and for each
database that it opens it reads the files of all its migrations. Within a test process neither
changes, and no test waits for the disk: what survives a kill is tested with processes of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # seconds that a process which only hands out tests should not wait for
    from sqlalchemy import Engine

MODULES = (
    "event_log.sqlite.consolidated_sqlite_event_log",
    "event_log.sqlite.sqlite_event_log",
    "runs.sqlite.sqlite_run_storage",
    "schedules.sqlite.sqlite_schedule_storage",
)
ENGINES = 64
"""So many are kept, a database file each; they hold no connections."""


@contextmanager
def quick_storage() -> Iterator[None]:
    """Within, engines and lists of migrations are kept in this process."""
    from dagster._core.storage.sql import Config, ScriptDirectory

    from_config = ScriptDirectory.from_config

    @cache
    def scripts(location: str | None, file: str | None) -> ScriptDirectory:
        config = Config(file)
        config.set_main_option("script_location", str(location))
        return from_config(config)

    def kept_scripts(config: Config) -> ScriptDirectory:
        return scripts(config.get_main_option("script_location"), config.config_file_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", kept_scripts)
        for module in MODULES:
            stored = import_module(f"dagster._core.storage.{module}")
            patch.setattr(stored, "create_engine", kept_engine)
        yield


def kept_engine(url: str, poolclass: type, connect_args: dict[str, Any] | None = None) -> "Engine":
    """The engine of a database; Dagster names no other options."""
    return _engine(url, poolclass, tuple((connect_args or {}).items()))


@lru_cache(maxsize=ENGINES)
def _engine(url: str, poolclass: type, connect_args: tuple[tuple[str, Any], ...]) -> "Engine":
    from sqlalchemy import create_engine, event

    engine = create_engine(url, poolclass=poolclass, connect_args=dict(connect_args))
    event.listen(engine, "connect", lambda con, _: con.execute("PRAGMA synchronous = OFF"))
    return engine
