"""Bringing the rows of an old file into the lake: in batches, resumably, accounting for each.

Batches are read, given today's shape and staged beside the lake; then day after day is merged
into its partition; then it is counted that every row of the file is in its partition or in
quarantine. Whatever is killed when, the next run goes on: a staged batch is not read again, and
a day that has its rows is not written again.
What does not belong here: what the file is and how its rows are read.
"""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.contracts import Quarantined, Row, arrow_schema, contract_version
from bsky_assets.contracts.details import Details
from bsky_assets.contracts.progress import Progress, Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage import quarantine
from bsky_assets.storage.files import staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.sql import literal, read_parquet
from bsky_assets.storage.upcasts import sql_type
from bsky_assets.sync_day import FIRST_DAY, now, today

_ORDINAL_OFFSET = 2**63
"""Makes the ordinals in file names positive, so that they sort."""
_QUARANTINED_AT_ONCE = 20_000


class CountsDisagree(UserError):
    """Rows of the old file are neither in the lake nor in quarantine."""


@dataclass(frozen=True)
class Batch:
    """Some rows of an old file, in their order."""

    last: int
    """Ordinal of the last of them."""
    rows: pa.Table
    """With an int64 column `ordinal`; `unreadable` says where a row could not even be decoded."""


class Source(Protocol):
    """An old file. Ordinals number its rows, rising."""

    kind: str
    """What it is, as file and dataset names have it."""
    file: Path
    row: type[Row]
    """The contract of its rows in the lake."""

    def total(self) -> int:
        """How many rows it has."""

    def batches(self, after: int | None) -> Iterator[Batch]:
        """Its rows after the ordinal `after`, or all of them."""

    def shaped(self, rows: str) -> str:
        """SQL that gives the rows of a batch the columns of the contract, and besides `ordinal`,
        `received_at` (null where unknown) and `fault` (struct of reason and detail, null where
        there is none). Columns of the contract that it leaves out are null, if they may be.
        """

    def contents(self, ordinals: Sequence[int]) -> Iterator[bytes]:
        """The rows with these ordinals, rising, as they stand in the file."""


@dataclass(frozen=True)
class Migrated:
    """What became of an old file's rows."""

    rows: int
    stored: int
    """Rows that this run or one before brought into the lake."""
    quarantined: dict[str, int]
    """Rows in quarantine by reason."""
    days: dict[date, int]
    """Stored rows by sync day."""
    seconds: float


def migrate(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    source: Source,
    settings: Settings,
    progress: Reporter = silent,
) -> Migrated:
    """Bring every row of `source` into the lake or into quarantine.

    A row goes into the sync day of its synctimestamp. One that is already there, by its key, is
    not added again, and a partition's other rows stay. Rows without a day of their own are
    quarantined today.

    Raises:
        CountsDisagree: a row is neither here nor there; what was staged is kept.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    began = time.monotonic()
    lake.attach(con)
    load = _Load(con, lake, source, settings, progress)
    with exclusive(load.folder):
        load.stage()
        days = load.merge()
        quarantined = load.set_aside()
        load.compare(days, quarantined)
    shutil.rmtree(load.folder)
    return Migrated(
        rows=load.total,
        stored=sum(days.values()),
        quarantined=dict(quarantined),
        days=days,
        seconds=time.monotonic() - began,
    )


class _Load:
    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        source: Source,
        settings: Settings,
        progress: Reporter,
    ) -> None:
        self.con = con
        self.lake = lake
        self.source = source
        self.row = source.row
        self.timezone = settings.timezone
        self.today = today(settings.timezone)
        self.progress = progress
        self.total = source.total()
        self.folder = settings.data_dir / "migrations" / f"{source.kind}-{_fingerprint(source)}"
        self.columns = ", ".join(arrow_schema(self.row).names)
        self.keys = [f"key_{number}" for number, _ in enumerate(self.row.key)]

    def stage(self) -> None:
        """Stage the batches that are not staged yet; a batch is named for its last ordinal."""
        done = self._files("rows")
        rows = sum(_rows_read(path) for path in done)
        self._tell("reading", rows, self.total)
        for batch in self.source.batches(_ordinal(done[-1]) if done else None):
            self._stage(batch)
            rows += batch.rows.num_rows
            self._tell("reading", rows, self.total)

    def _tell(self, what: str, done: int, total: int) -> None:
        self.progress(Progress(what, done, total, unit="rows"))

    def merge(self) -> dict[date, int]:
        """Bring every staged day into its partition; how many of its rows are there then."""
        if not self._files("rows"):
            return {}
        counts: dict[date, int] = dict(
            self.con.sql(
                f"SELECT sync_day, count(*) FROM {self._staged()} GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        )
        stored: dict[date, int] = {}
        done = 0
        for day, count in counts.items():
            self._merge(day)
            stored[day] = self._count(f"{self._firsts(day)} SEMI JOIN {self._stored_keys(day)}")
            done += count
            self._tell("storing", done, sum(counts.values()))
        return stored

    def set_aside(self) -> Counter[str]:
        """Quarantine what cannot be read, and repetitions; how many rows there are by reason."""
        known = self._known()
        reasons: Counter[str] = Counter()
        odd = self._odd()
        for start in range(0, len(odd), _QUARANTINED_AT_ONCE):
            part = odd[start : start + _QUARANTINED_AT_ONCE]
            contents = self.source.contents([ordinal for ordinal, *_ in part])
            days: dict[date, list[dict[str, Any]]] = {}
            for (ordinal, day, reason, detail), content in zip(part, contents, strict=True):
                reasons[reason] += 1
                if (str(ordinal), reason, _digest(content)) not in known:
                    days.setdefault(day or self.today, []).append(
                        {
                            "source": self.row.asset,
                            "origin": self.source.file.name,
                            "position": str(ordinal),
                            "reason": reason,
                            "detail": detail,
                            "content": content,
                            "received_at": now(),
                        }
                    )
            for day, rows in days.items():
                quarantine.add(self.con, self.lake, self.source.kind, day, rows)
        return reasons

    def compare(self, stored: dict[date, int], quarantined: Counter[str]) -> None:
        """Make sure that every row of the file is accounted for."""
        read = sum(_rows_read(path) for path in self._files("rows"))
        found = {position for position, *_ in self._known()}
        here, aside = sum(stored.values()), quarantined.total()
        if self.total == read == here + aside and len(found) >= aside:
            return
        raise CountsDisagree(
            f"{self.source.file}: {self.total} rows, of which {read} were read, {here} are in "
            f"{self.row.asset} and {min(aside, len(found))} in quarantine; nothing was deleted, "
            "and running it again goes on from here"
        )

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.folder.glob(f"{kind}-*.parquet"))

    def _stage(self, batch: Batch) -> None:
        self.con.register("legacy_rows", batch.rows)
        try:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE legacy_batch AS {self._assigned()}")
        finally:
            self.con.unregister("legacy_rows")
        odd = self.con.sql(
            "SELECT ordinal, sync_day, fault.reason AS reason, fault.detail AS detail "
            "FROM legacy_batch WHERE fault IS NOT NULL ORDER BY ordinal"
        ).to_arrow_table()
        with staged(self._named("odd", batch)) as path:
            pq.write_table(odd, path)
        with staged(self._named("rows", batch)) as path:
            self.con.execute(
                f"COPY (SELECT sync_day, ordinal, {self._selected()} FROM legacy_batch "
                "WHERE fault IS NULL ORDER BY sync_day, ordinal) "
                f"TO {literal(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 10240, "
                f"KV_METADATA {{rows: {literal(batch.rows.num_rows)}}})"
            )
        self.con.execute("DROP TABLE legacy_batch")

    def _selected(self) -> str:
        """The columns of the contract, of a batch; null where no old row knows one."""
        given = self.con.table("legacy_batch").columns
        return ", ".join(
            f"CAST(NULL AS {sql_type(field.type)}) AS {field.name}"
            if field.nullable and field.name not in given
            else field.name
            for field in arrow_schema(self.row)
        )

    def _named(self, kind: str, batch: Batch) -> Path:
        return self.folder / f"{kind}-{batch.last + _ORDINAL_OFFSET:020d}.parquet"

    def _assigned(self) -> str:
        """SQL for the shaped `legacy_rows` with their day, and the faults that a day can have."""
        first, last = f"DATE {literal(FIRST_DAY)}", f"DATE {literal(self.today)}"
        return f"""
            SELECT * EXCLUDE (day, fault),
                CASE WHEN day BETWEEN {first} AND {last} THEN day END AS sync_day,
                coalesce(fault, CASE
                    WHEN day IS NULL THEN {{
                        'reason': 'bad_synctimestamp',
                        'detail': 'synctimestamp is not YYYY-MM-DD-HH:MM:SS'
                    }}
                    WHEN day < {first} THEN {{
                        'reason': 'before_first_day',
                        'detail': 'synctimestamp is before {FIRST_DAY}, the first sync day'
                    }}
                    WHEN day > {last} THEN {{
                        'reason': 'in_the_future',
                        'detail': 'synctimestamp is in the future'
                    }}
                END) AS fault
            FROM (
                SELECT *, CAST(timezone({literal(self.timezone.key)}, received_at) AS DATE) AS day
                FROM ({self.source.shaped("legacy_rows")})
            )
        """

    def _staged(self, day: date | None = None) -> str:
        rows = read_parquet(self._files("rows"))
        of_day = f"WHERE sync_day = DATE {literal(day)}" if day else ""
        return f"(SELECT * FROM {rows} {of_day})"

    def _keyed(self, rows: str) -> str:
        pairs = zip(self.row.key, self.keys, strict=True)
        return f"{', '.join(f'{column} AS {key}' for column, key in pairs)} FROM {rows}"

    def _firsts(self, day: date) -> str:
        """The staged rows of a day, of repeated ones the first: their keys and ordinals."""
        keyed = self._keyed(self._staged(day))
        return f"(SELECT min(ordinal) AS ordinal, {keyed} GROUP BY ALL)"

    def _stored_keys(self, day: date) -> str:
        keyed = self._keyed(f"({self._partition(day)})")
        return f"(SELECT {keyed}) USING ({', '.join(self.keys)})"

    def _partition(self, day: date) -> str:
        current = self.lake.current(self.row, day)
        return select_rows(self.row, [current] if current else [])

    def _merge(self, day: date) -> None:
        new = f"{self._firsts(day)} ANTI JOIN {self._stored_keys(day)}"
        if self._count(new) == 0:
            return
        before = self.lake.current(self.row, day)
        details = before.told(Details) if before else Details()
        files = dict.fromkeys([*details.migrated_from, self.source.file.name])
        self.lake.write_query(
            self.con,
            self.row,
            day,
            f"SELECT {self.columns} FROM ({self._partition(day)}) UNION ALL "
            f"SELECT {self.columns} FROM {self._staged(day)} "
            f"WHERE ordinal IN (SELECT ordinal FROM {new})",
            details.model_copy(update={"migrated_from": tuple(files)}),
        )

    def _odd(self) -> list[tuple[int, date | None, str, str]]:
        """Ordinal, day, reason and detail of every row that is not stored, by ordinal."""
        if not self._files("rows"):
            return []
        rows = self.con.sql(
            f"SELECT ordinal, sync_day, reason, detail FROM {read_parquet(self._files('odd'))}"
        ).fetchall()
        days = self.con.sql(f"SELECT DISTINCT sync_day FROM {self._staged()}").fetchall()
        for (day,) in days:
            rows += self.con.sql(
                f"SELECT ordinal, sync_day, 'repeated', 'an earlier row of the day has its key' "
                f"FROM {self._staged(day)} ANTI JOIN {self._firsts(day)} USING (ordinal)"
            ).fetchall()
        return sorted(rows)

    def _known(self) -> set[tuple[str, str, str]]:
        """Position, reason and digest of what is in quarantine from this file."""
        partitions = [
            partition
            for partition in self.lake.partitions(Quarantined)
            if partition.dataset == f"{Quarantined.asset}/{self.source.kind}"
        ]
        return set(
            self.con.execute(
                f"SELECT position, reason, sha256(content) "
                f"FROM ({select_rows(Quarantined, partitions)}) WHERE origin = ?",
                [self.source.file.name],
            ).fetchall()
        )

    def _count(self, rows: str) -> int:
        ((count,),) = self.con.sql(f"SELECT count(*) FROM {rows}").fetchall()
        return int(count)


def _fingerprint(source: Source) -> str:
    """What tells one state of one file, on its way into one contract, from another."""
    parts = [str(source.file.resolve()), contract_version(source.row)]
    for path in (source.file, source.file.with_name(f"{source.file.name}-wal")):
        if path.exists():
            parts += [str(path.stat().st_size), str(path.stat().st_mtime_ns)]
    return _digest("\0".join(parts).encode())[:16]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _ordinal(path: Path) -> int:
    return int(path.stem.partition("-")[2]) - _ORDINAL_OFFSET


def _rows_read(path: Path) -> int:
    return int(pq.read_metadata(path).metadata[b"rows"])
