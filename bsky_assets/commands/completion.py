"""What a shell completes with the tabulator key: days that are stored, assets, columns.

What belongs here: what may stand in an argument. What does not: the names of commands and
options, which typer completes.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from bsky_assets.commands.choices import ASSETS

Words = Callable[[], Iterable[str]]


def complete(command: Any) -> None:
    """Let a shell complete what the parameters of the command are about."""
    for parameter in command.params:
        if words := _WORDS.get(parameter.name):
            parameter._custom_shell_complete = partial(_completed, words)


def _completed(words: Words, _context: Any, _parameter: Any, incomplete: str) -> list[str]:
    # Of names with commas between them, the last is not complete.
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in words() if word.startswith(begun)]


def _days() -> Iterable[str]:
    from bsky_assets.settings import get_settings

    settings = get_settings()
    if settings.lake_url:
        from bsky_assets.storage.lake import Lake

        lake = Lake.of(settings)
        stored = {str(day) for row in lake.rows for day in lake.days(row)}
    else:  # a glance at the folders, which takes no second of imports
        pointers = settings.lake_dir.glob("*/sync_day=*/current.json")
        stored = {pointer.parent.name.partition("=")[2] for pointer in pointers}
    return ["today", "yesterday", *sorted(stored, reverse=True)]


def _columns() -> Iterable[str]:
    from bsky_assets.contracts import columns
    from bsky_assets.contracts.lineage import ROWS

    return sorted({column.name for row in ROWS for column in columns(row)})


_WORDS: dict[str, Words] = {
    **dict.fromkeys(("day", "to", "day1", "day2"), _days),
    **dict.fromkeys(("asset", "assets", "select"), lambda: ASSETS),
    "column": _columns,
}
