"""The register: which declaration was there when, and what was labelled by then.

It is in the data directory, a folder a declaration, named by study and hash. It holds no address of
a post, so that nothing of it has to be forgotten.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from bsky_assets.analysis.studies.declaration import Study
from bsky_assets.settings import Settings
from bsky_assets.storage.files import write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import now

FOLDER, ENTRY, RESULTS = "studies", "registered.json", "results.json"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Registration:
    """When a declaration was registered, and what was there by then."""

    declaration: str
    """Its hash."""
    at: str
    """In UTC, ISO 8601."""
    labelled: tuple[str, ...]
    """Those of its days of which labels were stored already."""
    sample: str | None = None
    """What people code, once it is drawn."""

    @property
    def exploratory(self) -> str | None:
        """Why all of the study is exploratory; None where it was declared in time."""
        if not self.labelled:
            return None
        return f"labels of {self.labelled[0]} were stored before this was declared"


def register(settings: Settings, study: Study, days: Sequence[date]) -> Registration:
    """The entry of the declaration, which is made if there is none.

    Raises:
        UnusableDataDirectory: it cannot be written.
    """
    path = folder_of(settings, study) / ENTRY
    if path.exists():
        return registered(path)
    lake, row = Lake.of(settings), study.row(settings)
    labelled = tuple(str(day) for day in days if lake.current(row, day))
    entry = Registration(study.hash, now().isoformat(), labelled)
    write_json(path, asdict(entry))
    return entry


def registered(path: Path) -> Registration:
    """The entry in the file at `path`."""
    stored: dict[str, Any] = orjson.loads(path.read_bytes())
    return Registration(**{**stored, "labelled": tuple(stored["labelled"])})


def note_sample(settings: Settings, study: Study, entry: Registration, sample: str) -> Registration:
    """Keep which sample was drawn for the study."""
    noted = replace(entry, sample=sample)
    write_json(folder_of(settings, study) / ENTRY, asdict(noted))
    return noted


def folder_of(settings: Settings, study: Study) -> Path:
    """Where the entry and the results of the declaration are."""
    return settings.data_dir / FOLDER / f"{study.name}-{study.hash[:_DIGITS]}"
