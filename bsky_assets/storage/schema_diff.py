"""What differs between the columns of two stored partitions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from bsky_assets.contracts import Row
from bsky_assets.contracts.details import Details
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.places import read_schema

Versions = dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True)
class Difference:
    """Two days of one asset; what is the same is left out."""

    asset: str
    missing: date | None
    """The day that has no partition, where the other has."""
    columns: dict[str, tuple[str | None, str | None]]
    """Columns of one day alone, or of another type: what each file has."""
    versions: Versions
    """Versions of contract, filters and prompt that differ."""


def differences(
    lake: Lake, rows: tuple[type[Row], ...], first: date, second: date
) -> Iterator[Difference]:
    """What differs between two days, for each asset of which something does."""
    for row in rows:
        one, other = lake.current(row, first), lake.current(row, second)
        if one is None or other is None:
            if one or other:
                yield Difference(row.asset, second if one else first, {}, {})
            continue
        columns = _unequal(_columns(one), _columns(other))
        versions = _unequal(_versions(one), _versions(other))
        if columns or versions:
            yield Difference(row.asset, None, columns, versions)


def _columns(partition: Partition) -> dict[str, str]:
    return dict(_walk(read_schema(partition.path), ""))


def _walk(fields: pa.Schema | pa.StructType, prefix: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        name, kind = f"{prefix}{field.name}", field.type
        inner = kind.value_type if pa.types.is_list(kind) else kind
        if pa.types.is_struct(inner):
            yield name, "list<struct>" if inner is not kind else "struct"
            yield from _walk(inner, f"{name}.")
        else:
            yield name, f"list<{inner}>" if inner is not kind else str(kind)


def _versions(partition: Partition) -> dict[str, str]:
    return {"contract": partition.contract, **partition.told(Details).versions()}


def _unequal(
    one: dict[str, str], other: dict[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    names = dict.fromkeys([*one, *other])
    pairs = {name: (one.get(name), other.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
