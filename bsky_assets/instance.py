"""Dagster's own storage, under the data directory whichever command starts Dagster.

`dagster.yaml` names these classes, since it cannot itself say where BSKY_DATA_DIR is by default.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from bsky_assets.errors import UserError
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.files import unusable

CONFIGURATION = "dagster.yaml"


def home(settings: Settings) -> Path:
    """The folder of Dagster's own storage."""
    return settings.data_dir / "dagster"


def _base_directory(*below: str) -> str:
    path = home(get_settings()).joinpath(*below)
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


class DataDirectoryStorage(DagsterSqliteStorage):
    """Runs, events and schedules, in SQLite under the data directory."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "DataDirectoryStorage":
        """Open the storage."""
        return cls(_base_directory(), inst_data)


class DataDirectoryArtifacts(LocalArtifactStorage):
    """Files of Dagster's own, under the data directory."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "DataDirectoryArtifacts":
        """Open the storage."""
        return cls(_base_directory(), inst_data)


class DataDirectoryComputeLogs(LocalComputeLogManager):
    """What steps print, under the data directory."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "DataDirectoryComputeLogs":
        """Open the storage."""
        return cls(base_dir=_base_directory("storage"), inst_data=inst_data)


def open_instance(settings: Settings) -> DagsterInstance:
    """The Dagster instance of the data directory, the same that its UI and daemon use.

    Raises:
        UnusableDataDirectory: the data directory cannot be written to.
    """
    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    return DagsterInstance.get()


def prepare_home(settings: Settings) -> Path:
    """Make the folder that DAGSTER_HOME should name, with the configuration in it."""
    folder = home(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_configuration(), folder / CONFIGURATION)
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def _configuration() -> Path:
    candidates = (Path.cwd(), Path(__file__).parent.parent)
    for folder in candidates:
        if (folder / CONFIGURATION).is_file():
            return folder / CONFIGURATION
    raise UserError(f"there is no {CONFIGURATION} here; run this in the folder of the project")
