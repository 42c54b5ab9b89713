"""A partition of the lake: what its pointer says of it, and of what its rows come from.

What does not belong here: where it is found (`lake`), and how its rows are read (`partition_sql`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
from pydantic import ValidationError

from bsky_assets.contracts import Row, contract_version
from bsky_assets.contracts.details import Details, details_version
from bsky_assets.contracts.lineage import lineage_version
from bsky_assets.contracts.stored import StoredRow
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.places import StoredPath, batches

Told = TypeVar("Told", bound=Details)
Versions = Mapping[str, Mapping[str, str]]
"""Content versions of partitions: by asset, then by day as YYYY-MM-DD."""


@dataclass(frozen=True)
class Partition:
    """The current file of one dataset on one sync day."""

    dataset: str
    day: date
    path: StoredPath
    rows: int
    bytes: int
    contract: str
    """Version of the contract that it was written with."""
    lineage: str | None
    """Version of the lineage that it was made with; None where that was not recorded yet."""
    written_at: datetime
    details: Mapping[str, Any]
    """What its maker has to say of it, as it is stored; `told` reads it."""
    details_version: str | None
    """Version of the model that told it; None where that was not recorded yet."""
    version: str
    """Of its content: another one for rows that are made anew, and the same for what remains of
    them when deleted posts leave or when they are written under another contract."""
    made_from: Versions | None
    """What it was made from; None where it is made of what arrived, or was not recorded yet."""
    replaced: Mapping[str, datetime] = field(default_factory=dict)
    """The files that it took the place of and that are there still, and when each was replaced."""

    def told(self, model: type[Told]) -> Told:
        """What its maker says of it.

        Raises:
            Damaged: it was told in a way that `model` cannot read.
        """
        try:
            return model.model_validate(self.details)
        except ValidationError as error:
            (first, *_) = error.errors(include_url=False, include_input=False)
            at = ".".join(map(str, first["loc"]))
            reason = (
                f"its details, of version {self.details_version}, do not read as "
                f"{details_version(model)}: {at}: {first['msg']}"
            )
            raise Damaged(self.dataset, self.day, self.path, reason) from None

    def unnamed_since(self, name: str, modified: datetime) -> datetime:
        """Since when no pointer names the file `name` beside its own; the latest it can be."""
        return self.replaced.get(name) or max(self.written_at, modified)

    def has_its_length(self) -> bool:
        """Whether its file has the bytes that were written; object storage is not asked."""
        try:
            return isinstance(self.path, Path) and self.path.stat().st_size == self.bytes
        except OSError:
            return False

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in their order, at most `rows` at a time."""
        return batches(self.path, rows)


class Origin(NamedTuple):
    """Where rows come from: what they were made with and of."""

    lineage: str | None
    made_from: Versions | None
    version: str | None
    """None for rows that are made anew."""
    details_version: str | None
    """Of the model that told the details before something was noted in them; None for new ones."""
    contract: str

    @classmethod
    def kept(cls, partition: Partition, row: type[Row]) -> "Origin":
        """That of rows which are those of `partition` still, and are written as rows of `row`."""
        as_stored = issubclass(row, StoredRow)
        return cls(
            partition.lineage,
            partition.made_from,
            partition.version,
            partition.details_version,
            partition.contract if as_stored else contract_version(row),
        )

    @classmethod
    def new(cls, row: type[Row], made_from: Versions | None) -> "Origin":
        """That of rows which are made now."""
        return cls(lineage_version(row), made_from, None, None, contract_version(row))
