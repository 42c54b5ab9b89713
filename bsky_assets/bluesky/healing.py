"""Healing of a day: of its gaps in time, and of what did not come of single accounts.

What does not belong here: how either is done (`archive.healing`, `accounts.healing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from bsky_assets.bluesky.accounts.healing import heal_accounts
from bsky_assets.bluesky.archive import healing as archive
from bsky_assets.bluesky.archive.reading import Tell
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import AccountHealing, Healing
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True)
class Healed:
    """What came of a day."""

    accounts: Sequence[AccountHealing]
    gaps: Sequence[Healing]
    gaps_left: int = 0
    """Gaps that no archive was asked about, as there is none in the settings."""


def days_lacking(settings: Settings) -> list[date]:
    """The stored days of which something is missing that may be healed, oldest first."""
    partitions = Lake.of(settings).partitions(RawFirehosePost)
    still = ((found.day, found.told(StreamDetails).still) for found in partitions)
    return sorted(day for day, lacking in still if lacking.gaps or lacking.jumps)


def heal_day(con: duckdb.DuckDBPyConnection, settings: Settings, day: date, tell: Tell) -> Healed:
    """Land what can be had of what is missing of `day`; `tell` is told what is done.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES; what came is kept.
        NoArchive, Refused, Unanswered, UnreadableArchive: the archive does not let us, or there is
            none in the settings and nothing but gaps is missing.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    accounts = heal_accounts(con, settings, day, tell)
    if settings.archive_url is None and accounts:
        partition, _ = compact_firehose_day(
            con, Lake.of(settings), firehose_segments(settings), day
        )
        return Healed(accounts, [], len(partition.told(StreamDetails).still.gaps))
    return Healed(accounts, archive.heal_day(con, settings, day, tell))
