"""Healing of a day: of its gaps in time, and of what did not come of single accounts.

What does not belong here: how either is done (`archive.healing`, `accounts.healing`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from bsky_assets.bluesky.accounts.healing import heal_accounts
from bsky_assets.bluesky.archive import healing as archive
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import AccountHealing, Healing, JumpKey, Key
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import bounds

SETTLED = timedelta(hours=1)
"""How long after its end a day is healed for the first time: an archive seals what it has seen."""
_AGAIN = timedelta(days=1)
"""After so long the same is asked for again."""
_TRIED = timedelta(days=7)
"""For so long after a day."""


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


def due(settings: Settings, at: datetime) -> dict[date, str]:
    """The days that are to be healed now, each with what identifies what is asked for.

    A day is, once it is over, if it lacks something that nobody has been asked about; and on the
    days after it, again, if that was more than a day ago.
    """
    found = {}
    for partition in Lake.of(settings).partitions(RawFirehosePost):
        end = bounds(partition.day, settings.timezone)[1]
        if at < end + SETTLED:
            continue
        told = partition.told(StreamDetails)
        asked: dict[Key | JumpKey, str] = {one.key: one.at for one in told.healing}
        asked |= {one.key: one.at for one in told.account_healing}
        wanted = [
            (key, asked.get(key, ""))
            for key in _open(told, settings)
            if key not in asked or (at < end + _TRIED and _is_old(asked[key], at))
        ]
        if wanted:
            found[partition.day] = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    return found


def _open(told: StreamDetails, settings: Settings) -> Iterator[Key | JumpKey]:
    """What of a day can be asked for; of gaps only an archive knows."""
    if settings.archive_url:
        yield from ((gap.host, gap.after, gap.before) for gap in told.still.gaps)
    yield from ((jump.did, jump.had, jump.rev) for jump in told.still.jumps)


def _is_old(asked: str, at: datetime) -> bool:
    return at - datetime.fromisoformat(asked) > _AGAIN


def heal_day(con: duckdb.DuckDBPyConnection, settings: Settings, day: date, log: Log) -> Healed:
    """Land what can be had of what is missing of `day`; `log` is told what is done.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES; what came is kept.
        NoArchive, Refused, Unanswered, UnreadableArchive: the archive does not let us, or there is
            none in the settings and nothing but gaps is missing.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    accounts = heal_accounts(con, settings, day, log)
    if settings.archive_url is None and accounts:
        partition, _ = compact_firehose_day(
            con, Lake.of(settings), firehose_segments(settings), day
        )
        return Healed(accounts, [], len(partition.told(StreamDetails).still.gaps))
    return Healed(accounts, archive.heal_day(con, settings, day, log))
