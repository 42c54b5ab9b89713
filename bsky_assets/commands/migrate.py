"""`bsky-assets migrate`: older data into today's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo, stdout

if TYPE_CHECKING:
    import duckdb

    from bsky_assets.migrations.loading import Migrated
    from bsky_assets.migrations.rewrite import Outdated
    from bsky_assets.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Bring older data into today's shape.")

_MEMORY_LIMIT = "400MB"
"""DuckDB's, so that a migration runs beside everything else; beyond it, it spills to the disk."""


@app.command()
def plan() -> None:
    """Show which stored partitions are of an earlier contract, and what reading them takes.

    \b
    Example:
      bsky-assets migrate plan
    """
    from bsky_assets.migrations import rewrite
    from bsky_assets.storage.lake import Lake

    _show(list(rewrite.plan(Lake.of(get_settings()))))


@app.command()
def apply(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be rewritten, and stop.")
    ] = False,
) -> None:
    """Rewrite stored partitions of an earlier contract under today's.

    Each is written anew, compared with the old one by counts and checksums, and then takes its
    place. Interrupted, it goes on where it was when it is run again.

    \b
    Example:
      bsky-assets migrate apply --dry-run
    """
    from bsky_assets.commands.progress import shown
    from bsky_assets.migrations import rewrite
    from bsky_assets.orchestration.publish import publish
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake = Lake.of(settings)
    outdated = list(rewrite.plan(lake))
    if dry_run:
        _show(outdated)
        return
    with _connection(settings) as con, shown() as progress:
        written = rewrite.apply(con, lake, outdated, progress)
    # Also where nothing was left to do: it may have been killed before it came to this.
    publish(settings)
    if not outdated:
        _show(outdated)
        return
    echo(
        f"rewrote {len(written)} partitions with {sum(each.rows for each in written):,} rows; "
        "counts and checksums agree"
    )


@app.command("legacy-sqlite")
def from_sqlite(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The old SQLite database.")],
) -> None:
    """Bring the old firehose table, a SQLite file, into raw_firehose_posts by sync day.

    Rows that cannot be read are in the view `quarantine`, each with the reason. It does not
    finish unless every row is stored or in quarantine; interrupted, it goes on when run again.

    \b
    Example:
      bsky-assets migrate legacy-sqlite firehose.db
    """
    from bsky_assets.migrations import legacy_sqlite

    _migrate(file, legacy_sqlite.migrate)


@app.command("legacy-mongo")
def from_mongo(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.jsonl", help="The export, a JSON document a line.")
    ],
) -> None:
    """Bring feed posts that mongoexport wrote into raw_feed_posts by sync day.

    Lines that cannot be read are in the view `quarantine`, each with the reason. It does not
    finish unless every line is stored or in quarantine; interrupted, it goes on when run again.

    \b
    Example:
      bsky-assets migrate legacy-mongo feed_posts.jsonl
    """
    from bsky_assets.migrations import legacy_mongo

    _migrate(file, legacy_mongo.migrate)


def _migrate(file: Path, migrate: Callable[..., Migrated]) -> None:
    from bsky_assets.commands.progress import shown
    from bsky_assets.orchestration.publish import publish
    from bsky_assets.storage import network
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    network.keep(settings)
    with _connection(settings) as con, shown() as progress:
        migrated = migrate(con, Lake.of(settings), file, settings, progress)
    publish(settings)
    table = Table("sync day", "rows", title=escape(file.name), title_justify="left")
    table.columns[1].justify = "right"
    for day, rows in migrated.days.items():
        table.add_row(str(day), f"{rows:,}")
    stdout.print(table)
    for reason, rows in sorted(migrated.quarantined.items()):
        echo(f"quarantined  {reason}  {rows:,}")
    echo(
        f"{migrated.rows:,} rows: {migrated.stored:,} stored, "
        f"{sum(migrated.quarantined.values()):,} quarantined, in {migrated.seconds:.1f} s"
    )


def _show(outdated: list[Outdated]) -> None:
    if not outdated:
        echo("every stored partition is of today's contract")
        return
    table = Table("table", "sync day", "rows", "what reading it takes")
    for item in outdated:
        partition = item.partition
        changes = "\n".join(item.changes) or "nothing"
        table.add_row(partition.dataset, str(partition.day), f"{partition.rows:,}", escape(changes))
    stdout.print(table)
    echo(f"{len(outdated)} partitions are of an earlier contract")


@contextmanager
def _connection(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    from bsky_assets.storage.connection import without_bars

    config: dict[str, Any] = {
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(settings.data_dir / "spill"),
    }
    with without_bars(duckdb.connect(config=config)) as con:
        yield con
