"""`bsky-assets config`: the settings in force."""

import re
from typing import Any

from rich.markup import escape
from rich.table import Table

from bsky_assets.console import stdout
from bsky_assets.settings import (
    Settings,
    as_variable,
    get_settings,
    has_credentials,
    host_of,
    is_secret,
    variable_name,
)

MASK = "**********"
_PLAIN = re.compile(r"[\w./:@%+,=~-]*")


def config() -> None:
    """Print every variable, what is in force and what it means; secrets are masked.

    Variables are read from the environment and from `.env` in this folder. Written to a file the
    output is such a `.env`: what is not set or secret stands there as a comment.

    \b
    Example:
      BSKY_SYNC_TIMEZONE=UTC bsky-assets config
    """
    settings = get_settings()
    if not stdout.is_terminal:
        for name in Settings.model_fields:
            stdout.print(_line(name, getattr(settings, name)), markup=False, soft_wrap=True)
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
        return f"{value.partition('://')[0]}://{MASK}@{host_of(value)}"
    return MASK if is_secret(value) else as_variable(name, value)
