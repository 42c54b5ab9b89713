"""What `bsky-assets config` prints: a line for each variable, or a table, with secrets masked."""

import re
from typing import Any

from rich.markup import escape
from rich.table import Table

from bsky_assets.console import echo, stdout
from bsky_assets.settings import (
    Settings,
    as_variable,
    get_settings,
    has_credentials,
    host_of,
    is_secret,
    variable_name,
)

_MASK = "**********"
_PLAIN = re.compile(r"[\w./:@%+,=~-]*")


def print_variables() -> None:
    """Print every variable: a table in a terminal, elsewhere lines of a `.env`."""
    settings = get_settings()
    if not stdout.is_terminal:
        for name in Settings.model_fields:
            echo(_line(name, getattr(settings, name)))
        return
    table = Table("variable", "in force", "set", "meaning")
    for name, field in Settings.model_fields.items():
        given = "yes" if name in settings.model_fields_set else ""
        shown = escape(_shown(name, getattr(settings, name)))
        table.add_row(variable_name(name), shown, given, field.description)
    stdout.print(table)


def _line(name: str, value: Any) -> str:
    """The line of `.env` that says `value`."""
    shown = _shown(name, value)
    if value is None or is_secret(value):
        return f"# {variable_name(name)}={shown}"
    return f"{variable_name(name)}={shown if _PLAIN.fullmatch(shown) else _quoted(shown)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if has_credentials(value):
        return f"{value.partition('://')[0]}://{_MASK}@{host_of(value)}"
    return _MASK if is_secret(value) else as_variable(name, value)
