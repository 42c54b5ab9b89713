"""No filter bends the shares of the day."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import AuditedShare
from bsky_assets.contracts.details import AuditDetails
from bsky_assets.labelling.audit import ALL_FILTERS
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_UNMOVED = AssetCheckSpec(
    "filters_do_not_move_the_shares",
    asset=AuditedShare.asset,
    description="Had a filter stopped nothing, the day's shares would be much the same.",
)
SPECS = [_UNMOVED]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> list[AssetCheckResult]:
    audited = partition.told(AuditDetails).audited
    return [
        check(
            _UNMOVED,
            _moved(con, lake, settings, partition),
            checked=sum(audited.values()),
            nothing="no English post that a filter stopped was judged",
            audited=audited,
        )
    ]


def _moved(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> Iterator[str]:
    """The shifts that are surely there and too large."""
    rows = lake.relation(con, AuditedShare, [partition.day]).filter(
        f"abs(shift) > {settings.audit_shift} AND (shift_low > 0 OR shift_high < 0)"
    )
    shown = rows.select("filter, label, shift, shift_low, shift_high").order("abs(shift) DESC")
    for name, label, shift, low, high in shown.fetchall():
        who = (
            "had no filter stopped anything" if name == ALL_FILTERS else f"had {name} stopped none"
        )
        yield (
            f"{who}, the share of {label} would move by {100 * shift:+.1f} points "
            f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        )
