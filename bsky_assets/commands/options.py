"""Options that several commands have, and what is meant by them."""

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from bsky_assets.sync_day import parse_days

DAY = typer.Option(metavar="DAY", help="YYYY-MM-DD, `today`, `yesterday`, or -2: two days ago.")
LastDay = Annotated[
    str | None, typer.Option(metavar="DAY", help="Last sync day; default: the same.")
]
Days = Annotated[
    str, typer.Option(metavar="DAY[..DAY]", help="Sync days: YYYY-MM-DD, or from..to.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
OfCodebook = Annotated[
    str | None,
    typer.Option("--codebook", metavar="NAME", help="Of a codebook of yours; default: llm_labels."),
]


def days_from(day: str, to: str | None, timezone: ZoneInfo) -> list[date]:
    """The sync days from `day` to that of `--to`, where it is given.

    Raises:
        NoSuchDay: one of them is none, or the last is before the first.
    """
    return parse_days(f"{day}..{to or day}", timezone)


def named(text: str | None) -> list[str]:
    """The names in an option that takes them with commas between."""
    return [name for part in (text or "").split(",") if (name := part.strip())]
