"""Dagster's own storage, under the data directory whichever command starts Dagster.

`dagster.yaml` names these classes, since it cannot itself say where BSKY_DATA_DIR is by default.
"""

import os
import shutil
import socket
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import psutil
from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher
from dagster._core.events.log import EventLogEntry
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData

from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.files import staged
from bsky_assets.storage.locks import exclusive

CONFIGURATION = "dagster.yaml"
WORKSPACE = Path(__file__).with_name("workspace.yaml")
"""What Dagster loads, wherever this package is installed; the checkout's says the same."""
_CONNECT_SECONDS = 10
_PROCESS_TAG = "bsky_assets/process"
_CLOCK_SECONDS = 60
"""By how much a process may seem to have begun at another time, when a clock was set."""


def home(settings: Settings) -> Path:
    """The folder of Dagster's own storage."""
    return settings.data_dir / "dagster"


class _Events(SqliteEventLogStorage):
    """Events in SQLite, whose files stay open for as long as one run writes to them.

    Dagster opens and closes them for each event, and whenever nobody has a file open, SQLite moves
    its journal into it and waits for the disk: that was a tenth of a first day.
    """

    def __init__(self, base_dir: str) -> None:
        super().__init__(base_dir)
        self._held: dict[str, sqlite3.Connection] = {}

    def store_event(self, event: EventLogEntry) -> None:
        """Store it, and hold its files open."""
        super().store_event(event)
        if event.run_id not in self._held:
            self._hold(INDEX_SHARD_NAME, event.run_id)

    def dispose(self) -> None:
        """Let go of all files."""
        super().dispose()
        self._hold()

    def _hold(self, *shards: str) -> None:
        before = self._held
        self._held = {
            shard: before.get(shard) or _opened(self.path_for_shard(shard)) for shard in shards
        }
        for shard in before.keys() - self._held.keys():
            before[shard].close()


def _opened(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA schema_version").fetchall()  # only what was read is really open
    return database


class _UnderDataDirectory:
    """A part of Dagster's storage, whose place follows from the settings."""

    below: tuple[str, ...] = ()
    """Its folder, in that of Dagster's storage."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        folder = home(get_settings())
        # Whoever opens it first makes its tables; two at a time would leave them broken for good.
        with exclusive(folder):
            place = folder.joinpath(*cls.below)
            place.mkdir(parents=True, exist_ok=True)
            return cls(base_dir=str(place), inst_data=inst_data)  # type: ignore[call-arg]


class DataDirectoryStorage(_UnderDataDirectory, DagsterSqliteStorage):
    """Runs, events and schedules, in SQLite under the data directory."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = _Events(_event_logs_directory(base_dir))


class DataDirectoryArtifacts(_UnderDataDirectory, LocalArtifactStorage):
    """Files of Dagster's own, under the data directory."""


class DataDirectoryComputeLogs(_UnderDataDirectory, LocalComputeLogManager):
    """What steps print, under the data directory."""

    below = ("storage",)


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which also knows a run to be dead whose process is gone.

    Dagster's monitoring ends it then, and its retries start it again if the daemon had started it.
    Otherwise a run that was killed together with the daemon, or with the command that it was in,
    would be under way for ever, and keep its place in the queue.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the code server is there that watches over the run, or else the run's process."""
        server, process = run.tags.get(GRPC_INFO_TAG), run.tags.get(_PROCESS_TAG)
        # What is run again from the UI has the tags of the first run, and a server of its own.
        if server is not None:
            is_there = _is_listening(orjson.loads(server))
        else:
            is_there = process is None or _is_alive(process)
        if is_there:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")


def this_process() -> dict[str, str]:
    """The tag of a run that is in this process, and no code server watches over."""
    process = psutil.Process()
    return {_PROCESS_TAG: f"{socket.gethostname()} {process.pid} {process.create_time()}"}


def _is_alive(process: str) -> bool:
    """Whether the process of a tag is there; of another machine's it is taken to be."""
    host, number, began = process.rsplit(" ", 2)
    if host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(int(number)).create_time() - float(began)) < _CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return False


def _is_listening(server: Mapping[str, Any]) -> bool:
    """Whether somebody listens; a server that is only slow to answer does."""
    family, address = (
        (socket.AF_UNIX, server["socket"])
        if "socket" in server
        else (socket.AF_INET, (server["host"], server["port"]))
    )
    with socket.socket(family) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def open_instance(settings: Settings) -> DagsterInstance:
    """The Dagster instance of the data directory, the same that its UI and daemon use.

    Raises:
        UnusableDataDirectory: the data directory cannot be written to.
    """
    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    return DagsterInstance.get()


def prepare_home(settings: Settings) -> Path:
    """Make the folder that DAGSTER_HOME should name, with the configuration in it.

    Raises:
        UnusableDataDirectory: it cannot be written to.
    """
    folder = home(settings)
    with staged(folder / CONFIGURATION) as path:
        shutil.copyfile(_configuration(), path)
    return folder


def _configuration() -> Path:
    """That of this folder, where there is one, or else the package's own."""
    here = Path(CONFIGURATION)
    return here if here.is_file() else Path(__file__).with_name(CONFIGURATION)
