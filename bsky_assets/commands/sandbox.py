"""`bsky-assets sandbox`: a small Bluesky and LLM on loopback."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.sync_day import parse_day


def sandbox(
    events: Annotated[int, typer.Option(min=100, help="Events of the firehose.")] = 30_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same posts.")] = 0,
    day: Annotated[str, typer.Option(metavar="DAY", help="The day that it is about.")] = "today",
    now: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S"],
            help="Up to when it has happened, in UTC; the same instant gives the same posts.",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Events a second; default: as fast as they are read.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Where to write what is true of every post.")
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Where to write the environment, as JSON, when all servers listen."),
    ] = None,
) -> None:
    """Serve a small Bluesky and an LLM on loopback, speaking the real protocols.

    Relay, Jetstream, AppView, labeler and an OpenAI-compatible endpoint, on made-up posts. It
    prints the variables that point the platform at it, and runs until it is interrupted.

    \b
    Example:
      bsky-assets sandbox --events 5000 --truth truth.jsonl
    """
    from bsky_sandbox.__main__ import run

    timezone = get_settings().timezone
    run(
        seed=seed,
        day=parse_day(day, timezone),
        events=events,
        now=now and now.replace(tzinfo=UTC),
        rate=rate,
        truth=truth,
        ready_file=ready_file,
    )
