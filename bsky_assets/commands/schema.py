"""`bsky-assets schema`: columns, what they are made from, and what a change of them touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo, echo_lines
from bsky_assets.errors import UserError
from bsky_assets.sync_day import parse_day

if TYPE_CHECKING:
    from bsky_assets.contracts import Row
    from bsky_assets.contracts.lineage import Touched
    from bsky_assets.storage.lake import Lake
    from bsky_assets.storage.schema_diff import Difference

app = typer.Typer(
    no_args_is_help=True,
    help="Show columns, what they are made from, and what a change of them touches.",
)

_NOTHING_STORED = "no day stored"


@app.command()
def show(
    asset: Annotated[
        str | None, typer.Argument(metavar="[ASSET]", help="One asset in full; default: all.")
    ] = None,
) -> None:
    """Show the columns of an asset, their types, and what each is made from.

    \b
    Example:
      bsky-assets schema show consolidated_posts
    """
    from bsky_assets.contracts import lineage as column_lineage
    from bsky_assets.storage.lake import Lake

    rows = Lake.of(get_settings()).rows
    if asset:
        echo_lines(_columns_of(column_lineage.contract_of(asset, rows)))
        return
    for row in rows:
        echo_lines(_overview(row, rows))


@app.command()
def impact(
    column: Annotated[
        str,
        typer.Argument(
            help="A column or struct, dotted: of every asset, or of one if that stands first."
        ),
    ],
) -> None:
    """Show what a column touches: assets, their columns and checks, and stored days.

    If the column's type or name changes, these assets and no others show as Unsynced in the UI.

    \b
    Example:
      bsky-assets schema impact record.text
      bsky-assets schema impact raw_post_deletions.status
    """
    from bsky_assets.contracts import lineage as column_lineage
    from bsky_assets.storage.lake import Lake

    lake = Lake.of(get_settings())
    touched = column_lineage.impact(column, lake.rows)
    checks = _checks()
    for asset, found in touched.items():
        echo(f"{asset}: {_days(lake, asset)}")
        echo_lines(f"  {line}" for line in _touched(found, checks.get(asset, [])))


@app.command(context_settings={"ignore_unknown_options": True})  # -2 is a day
def diff(
    day1: Annotated[
        str, typer.Argument(help="YYYY-MM-DD, `today`, `yesterday`, or -2: two days ago.")
    ],
    day2: Annotated[str, typer.Argument(help="Another.")],
) -> None:
    """Show how the stored columns and versions of two days differ.

    \b
    Example:
      bsky-assets schema diff yesterday today
    """
    from bsky_assets.storage.lake import Lake
    from bsky_assets.storage.schema_diff import differences

    settings = get_settings()
    first, second = (parse_day(day, settings.timezone) for day in (day1, day2))
    lake = Lake.of(settings)
    if not any(lake.current(row, day) for row in lake.rows for day in (first, second)):
        raise UserError(
            f"nothing is stored on {first} or {second}; `bsky-assets status` lists days"
        )
    found = list(differences(lake, lake.rows, first, second))
    if not found:
        echo(f"{first} and {second} have the same columns and versions")
    for difference in found:
        echo_lines(_told(difference))


@app.command()
def stale() -> None:
    """Show which stored partitions would be made otherwise today, and why.

    `bsky-assets materialize --stale` makes these again, and no others but what follows them.

    \b
    Example:
      bsky-assets schema stale
    """
    from bsky_assets.orchestration.staleness import stale as stale_partitions
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    found = list(stale_partitions(Lake.of(settings), settings))
    for asset, partitions in groupby(found, lambda partition: partition.asset):
        echo(asset)
        echo_lines(f"  {each.day}  {'; '.join(each.reasons)}" for each in partitions)
    if not found:
        echo("every stored partition is as it would be made today")


def _overview(row: type[Row], rows: Sequence[type[Row]]) -> Iterator[str]:
    from bsky_assets.contracts import columns
    from bsky_assets.contracts import lineage as column_lineage

    upstream = column_lineage.upstream(column_lineage.reads(row), rows)
    made_from = f" ← {', '.join(upstream)}" if upstream else ""
    yield f"{row.asset}{made_from}"
    yield f"  {(row.__doc__ or '').splitlines()[0]}"
    names = [column.name for column in columns(row) if "." not in column.name]
    yield f"  {', '.join(names)}"


def _columns_of(row: type[Row]) -> Iterator[str]:
    from bsky_assets.contracts import columns, contract_version
    from bsky_assets.storage.upcasts import sql_type

    yield f"{row.asset}: {(row.__doc__ or '').splitlines()[0]}"
    yield f"unique within a day: {', '.join(row.key)}; contract {contract_version(row)}"
    if row.rows_from:
        yield f"which rows there are ← {', '.join(row.rows_from)}"
    for column in columns(row):
        kind = sql_type(column.type) if not column.nested else "struct"
        if column.nested and str(column.type).startswith("list"):
            kind = "list of structs"
        null = ", may be null" if column.nullable else ""
        yield f"{column.name} ({kind}{null}): {column.description}"
        if column.sources and not column.nested:
            yield f"    ← {', '.join(column.sources)}"


def _touched(found: Touched, checks: list[str]) -> Iterator[str]:
    if found.rows:
        yield "which rows there are"
    yield from found.columns
    if checks:
        yield f"checks: {', '.join(checks)}"


def _checks() -> dict[str, list[str]]:
    """The checks of each asset, by name."""
    from bsky_assets.definitions import current_defs  # Dagster takes seconds

    found: dict[str, list[str]] = {}
    for key in sorted(current_defs().resolve_asset_graph().asset_check_keys, key=str):
        found.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    return found


def _days(lake: Lake, asset: str) -> str:
    from bsky_assets.contracts import lineage as column_lineage

    if asset == column_lineage.DAILY_REPORT:
        days = sorted(path.stem for path in get_settings().reports_dir.glob("????-??-??.html"))
    else:
        days = [str(day) for day in lake.days(column_lineage.contract_of(asset, lake.rows))]
    if not days:
        return _NOTHING_STORED
    if len(days) == 1:
        return f"1 day stored, {days[0]}"
    return f"{len(days)} days stored, {days[0]} to {days[-1]}"


def _told(difference: Difference) -> Iterator[str]:
    yield difference.asset
    if difference.missing:
        yield f"  nothing is stored on {difference.missing}"
    for name, (one, other) in difference.versions.items():
        yield f"  {name}: {one or 'none'} → {other or 'none'}"
    for name, (one, other) in difference.columns.items():
        if one is None:
            yield f"  + {name} {other}"
        elif other is None:
            yield f"  - {name} {one}"
        else:
            yield f"  ~ {name} {one} → {other}"
