"""`bsky-assets sync`: bring today's raw partitions up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo_err
from bsky_assets.errors import UserError
from bsky_assets.sync_day import today

if TYPE_CHECKING:
    from bsky_assets.bluesky.streaming import Limits
    from bsky_assets.settings import Settings


class FeedsFailed(UserError):
    """At least one feed gave nothing; what the others gave is stored."""


app = typer.Typer(
    no_args_is_help=True, help="Collect now, up to limits, into today's raw partitions."
)

MaxPosts = Annotated[
    int | None,
    typer.Option(min=1, help="Posts after which to stop. [default: BSKY_SYNC_MAX_POSTS]"),
]
MaxEvents = Annotated[
    int | None,
    typer.Option(min=1, help="Events after which to stop. [default: BSKY_SYNC_MAX_EVENTS]"),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(min=0.1, help="Seconds after which to stop. [default: BSKY_SYNC_MAX_SECONDS]"),
]


@app.command()
def firehose(
    max_posts: MaxPosts = None, max_events: MaxEvents = None, max_seconds: MaxSeconds = None
) -> None:
    """Read the firehose up to limits: posts and deletions.

    It goes on where the last reading ended. Interrupted, it keeps what came.

    \b
    Example:
      bsky-assets sync firehose --max-seconds 60
    """
    from bsky_assets.bluesky import collector
    from bsky_assets.commands.progress import report_line, shown

    settings = get_settings()
    limits = _limits(settings, max_posts or settings.sync_max_posts, max_events, max_seconds)
    with shown() as progress, collector.stop_on_signals() as stop:
        report = collector.sync_firehose(settings, limits, progress=progress, stop=stop)
    echo_err(report_line(report))
    _bring_up_to_date(settings, " or ".join(_of_firehose()), STORED)


@app.command()
def feeds(
    max_posts: Annotated[
        int | None, typer.Option(min=1, help="Items of each feed after which to stop.")
    ] = None,
) -> None:
    """Read the 'most liked' feeds, page by page.

    \b
    Example:
      bsky-assets sync feeds --max-posts 200
    """
    from bsky_assets.contracts import RawFeedPost
    from bsky_assets.storage.coverage import feed_problems
    from bsky_assets.storage.lake import Lake

    config = {"ops": {"raw_feed_posts": {"config": {"max_posts": max_posts}}}}
    settings = get_settings()
    _bring_up_to_date(settings, "raw_feed_posts", config)
    stored = Lake.of(settings).current(RawFeedPost, today(settings.timezone))
    if problems := feed_problems(stored):
        raise FeedsFailed("; ".join(problems))


@app.command()
def labels(max_events: MaxEvents = None, max_seconds: MaxSeconds = None) -> None:
    """Read the labeler's stream up to limits: moderation labels.

    \b
    Example:
      bsky-assets sync labels --max-seconds 60
    """
    from bsky_assets.bluesky import collector
    from bsky_assets.commands.progress import report_line, shown

    settings = get_settings()
    limits = _limits(settings, None, max_events, max_seconds)
    with shown() as progress, collector.stop_on_signals() as stop:
        report = collector.sync_labels(settings, limits, progress=progress, stop=stop)
    echo_err(report_line(report))
    _bring_up_to_date(settings, "raw_moderation_labels", _LABELS_STORED)


STORED = {"ops": {"raw_firehose_posts": {"config": {"read_stream": False}}}}
_LABELS_STORED = {"ops": {"raw_moderation_labels": {"config": {"read_stream": False}}}}


def _of_firehose() -> Iterator[str]:
    """What the firehose alone brings, as Dagster selects it."""
    from bsky_assets.contracts import STREAMED
    from bsky_assets.contracts.arrival import FIREHOSE, LABELS

    for row, arrival in STREAMED.items():
        if LABELS not in arrival.streams and FIREHOSE in arrival.streams:
            yield f'key:"{row.asset}"'


def _limits(
    settings: Settings, posts: int | None, events: int | None, seconds: float | None
) -> Limits:
    from bsky_assets.bluesky.streaming import Limits

    return Limits(
        max_posts=posts,
        max_events=events or settings.sync_max_events,
        max_seconds=seconds or settings.sync_max_seconds,
    )


def _bring_up_to_date(settings: Settings, select: str, config: Mapping[str, object]) -> None:
    from bsky_assets.commands.running import materialize_day
    from bsky_assets.orchestration.instance import open_instance

    with open_instance(settings) as instance:
        materialize_day(instance, today(settings.timezone), select, config)
