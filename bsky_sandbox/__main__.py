"""The sandbox in the foreground: what `bsky-assets sandbox` runs."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType

import orjson

from bsky_assets.errors import UserError
from bsky_sandbox.server import DEFAULT_PORTS, Sandbox, Servers
from bsky_sandbox.truth import write_truth
from bsky_sandbox.world import World


class CannotWrite(UserError):
    """The truth or the ready file cannot be written; the message says which."""


def run(
    *,
    seed: int = 0,
    day: date | None = None,
    events: int = 30_000,
    now: datetime | None = None,
    rate: float | None = None,
    ports: Mapping[str, int] | None = None,
    truth: Path | None = None,
    ready_file: Path | None = None,
) -> None:
    """Serve a world until SIGINT or SIGTERM, and say on standard output where.

    Args:
        seed: the same seed makes the same world.
        day: the UTC day of its events; by default today.
        events: how many events its firehose has.
        now: the instant up to which they have happened; by default the present one.
        rate: events a second; by default as fast as they are read.
        ports: by server's name; without, those of `DEFAULT_PORTS`, or free ones where taken.
        truth: a file for what is true of the world, as JSON lines.
        ready_file: a file for the variables that point at the servers, as a JSON object. It is
            there, whole, when all servers listen and the truth is written.

    Raises:
        CannotListen: one of `ports` is taken.
        CannotWrite: a file cannot be written.
    """
    world = World.generate(seed, day=day or datetime.now(UTC).date(), events=events, now=now)
    if truth is not None:
        _write(truth, lambda path: write_truth(world.truth(), path))
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Sandbox(
            world, Servers.of(world, rate), ports or DEFAULT_PORTS, or_free=ports is None
        ) as sandbox:
            sandbox.encode_ahead()
            _announce(sandbox)
            if ready_file is not None:
                variables = orjson.dumps(sandbox.environment(), option=orjson.OPT_INDENT_2)
                _write(ready_file, lambda path: path.write_bytes(variables))
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(sandbox: Sandbox) -> None:
    world, variables = sandbox.world, sandbox.environment()
    places = {
        "relay": sandbox.relay_url,
        "jetstream": sandbox.jetstream_url,
        "archive": sandbox.archive_url,
        "accounts": f"{sandbox.plc_url} (directory, and host of all repositories)",
        "appview": sandbox.appview_url,
        "labeler": sandbox.labeler_url,
        "llm": f"{sandbox.llm_base_url} (no language model: it knows its own posts)",
    }
    lines = [f"{name:<10} {place}" for name, place in places.items()]
    lines += [
        f"{'world':<10} {world.day}, seed {world.seed}: {len(world.events)} events, "
        f"{len(world.posts)} posts, {len(world.feed_items)} of them in the feed",
        f"{'account':<10} {sandbox.handle}, password {sandbox.app_password}, "
        f"for {world.private_feed_uri}",
        "",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"# and for news, if you want it: export BSKY_NEWS_FEEDS={shlex.quote(sandbox.news_feeds)}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` write beside `path`, then put it there, whole."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CannotWrite(f"cannot write {path}: {error.strerror}; choose another place") from None


if __name__ == "__main__":
    run()
