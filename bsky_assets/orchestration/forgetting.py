"""Forgetting a subject wherever the platform keeps anything: data, reports, Dagster's own storage.

What does not belong here: how it is taken out of partitions (`consolidation.forget`), or of
databases and logs (`forget_runs`).
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pyarrow as pa

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.room import JOURNAL, ROOM, rooms_folder
from bsky_assets.bluesky.archive.sheets import FOLDER as ARCHIVE_FOLDER
from bsky_assets.bluesky.collected import all_segments
from bsky_assets.consolidation.forget import (
    Subject,
    forget_in_files,
    forget_in_json,
    forget_in_lake,
    forget_in_segments,
    subject_of,
)
from bsky_assets.consolidation.forgotten import seen_again
from bsky_assets.contracts import LlmAnswer, RawFeedPost, RawFirehosePost
from bsky_assets.labelling.forgetting import forget_words
from bsky_assets.labelling.ledger.store import Ledger, ledger_of
from bsky_assets.labelling.optimising.written import FILE
from bsky_assets.labelling.statistics.sampling import designs
from bsky_assets.orchestration.forget_runs import forget_in_databases, forget_in_texts
from bsky_assets.orchestration.instance import home
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import LOOK_BACK_DAYS


@dataclass(frozen=True)
class Forgotten:
    """How much was written anew, or removed."""

    partitions: int
    segments: int
    answers: int
    """Files of the ledger."""
    entries: int
    """Values in Dagster's databases."""
    logs: int
    samples: int
    """Files that say which posts people were to code, and what they said."""
    reports: int
    """Removed; they are made anew from what is left."""


def forget_everywhere(con: duckdb.DuckDBPyConnection, settings: Settings, name: str) -> Forgotten:
    """Forget the DID or AT URI `name`. Whoever is interrupted does it again.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    lake, ledger = Lake.of(settings), ledger_of(settings)
    subject = subject_of(con, lake, name)
    texts = sorted(subject.words)
    leaving = pa.table({"uri": [name] * len(texts), "text": pa.array(texts, pa.string())})
    forget_words(con, lake, settings, leaving)
    logs = [path for path in home(settings).rglob("compute_logs/*") if path.is_file()]
    # What says which words are to go goes last, so that they are found again.
    made = Forgotten(
        answers=forget_in_files(ledger.files(LlmAnswer), subject),
        entries=forget_in_databases(home(settings), subject),
        logs=forget_in_texts(logs, subject),
        samples=_forget_samples(settings, ledger, subject),
        reports=_forget_reports(settings, subject),
        segments=sum(forget_in_segments(con, stream, subject) for stream in all_segments(settings)),
        partitions=forget_in_lake(con, lake, subject),
    )
    if (fetched := settings.data_dir / ARCHIVE_FOLDER).exists():
        shutil.rmtree(fetched)
    for written in settings.optimising_dir.glob(f"*/{FILE}"):
        written.unlink()  # a model wrote it with posts in sight; it is only asked again
    lake.vacuum(timedelta(0))
    publish(settings)
    return made


def forget_again(con: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[str]:
    """Forget what is on the list and came in again on the last days; yields their names."""
    lake = Lake.of(settings)
    for row, did in ((RawFirehosePost, "author"), (RawFeedPost, "author.did")):
        days = lake.days(row)[-LOOK_BACK_DAYS:]
        lake.relation(con, row, days, passing_over=days).create_view("came_in", replace=True)
        for name in seen_again(con, f"SELECT uri, {did} AS did FROM came_in", lake):
            forget_everywhere(con, settings, name)
            yield name


def _forget_samples(settings: Settings, ledger: Ledger, subject: Subject) -> int:
    """In what is kept of samples that were drawn, and of rooms.

    Raises:
        RoomIsOpen: somebody is coding in one.
    """
    folder = rooms_folder(settings)
    made = [*designs(ledger), *folder.glob(f"*/{ROOM}")]
    changed = forget_in_json(made, subject)
    for path in folder.glob(f"*/{JOURNAL}"):
        with Journal(path):  # nobody writes it meanwhile, and its last line is whole
            changed += forget_in_json([path], subject)
    return changed


def _forget_reports(settings: Settings, subject: Subject) -> int:
    words = (*subject.names, *subject.pieces())
    removed = 0
    for path in sorted(path for path in settings.reports_dir.rglob("*") if path.is_file()):
        text = path.read_text("utf-8", "surrogateescape")
        if any(word in text for word in words):
            path.unlink()
            removed += 1
    return removed
