"""The whole sandbox, running: relay, Jetstream, archive, repositories, AppView, labeler and LLM.

They run on loopback, in one background thread with an event loop of its own, so that a test, a
notebook or a command can talk to them. What does not belong here: what any of them serves.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import TypeVar

from aiohttp import web

from bsky_assets.errors import UserError
from bsky_sandbox.appview import AppView, Feed
from bsky_sandbox.archive import Archive
from bsky_sandbox.archive_rows import History, before
from bsky_sandbox.chat import MODEL
from bsky_sandbox.jetstream import Jetstream
from bsky_sandbox.labeler import Labeler
from bsky_sandbox.llm import LlmServer
from bsky_sandbox.news import News
from bsky_sandbox.news_server import FEEDS, NewsServer
from bsky_sandbox.posts import Json, encoded
from bsky_sandbox.relay import Relay
from bsky_sandbox.repo import Cid, cid_of
from bsky_sandbox.repositories import Repositories
from bsky_sandbox.sessions import APP_PASSWORD
from bsky_sandbox.world import World

HOST = "127.0.0.1"
DEFAULT_PORTS: Mapping[str, int] = {
    "relay": 2580,
    "appview": 2581,
    "labeler": 2582,
    "llm": 2583,
    "jetstream": 2584,
    "archive": 2585,
    "news": 2586,
    "repositories": 2586,
}
"""Where the servers of the `sandbox` command listen, unless something else does."""

FREE = 0
"""In place of a port: any that is free."""

_SECONDS = 20
_SHUTDOWN_SECONDS = 0.5

T = TypeVar("T")


class CannotListen(UserError):
    """A port cannot be had; the message says which."""


@dataclass(frozen=True)
class Servers:
    """What is served; the faults of each can be set while it runs."""

    relay: Relay
    jetstream: Jetstream
    appview: AppView
    labeler: Labeler
    llm: LlmServer
    archive: Archive
    news: NewsServer
    repositories: Repositories

    @classmethod
    def of(cls, world: World, rate: float | None = None) -> "Servers":
        """The servers of `world`; its events happen `rate` a second, or as fast as can be."""
        feeds = {
            world.feed_uri: Feed(world.feed_items),
            world.private_feed_uri: Feed(world.feed_items, needs_session=True),
        }
        relay = Relay(world.events, _with_cids(world.records_before()), rate=rate)
        return cls(
            relay=relay,
            jetstream=Jetstream(world.events, relay.frames, rate=rate),
            appview=AppView(world.posts, world.accounts, world.labels, feeds),
            labeler=Labeler(world.labels),
            llm=LlmServer(world.posts),
            archive=Archive(lambda: history_of(world).rows()),
            news=NewsServer(lambda: News.of(world), datetime.now(UTC)),
            repositories=repositories_of(world),
        )

    def apps(self) -> dict[str, web.Application]:
        """Each as an application, by its name in `DEFAULT_PORTS`."""
        return {one.name: getattr(self, one.name).app() for one in fields(self)}


def history_of(world: World) -> History:
    """What an archive of `world` witnessed that began an hour before its stream."""
    return History(world.records_before(), world.events, begun=before(world.events[0].time))


def repositories_of(world: World) -> Repositories:
    """The repositories of `world` after its stream, of accounts that are still there."""
    return Repositories(
        world.records_before,
        world.events,
        begun=before(world.events[0].time),
        statuses={one.did: one.status for one in world.accounts},
    )


def _with_cids(records: Iterable[tuple[str, str, Json]]) -> Iterator[tuple[str, str, Cid]]:
    for did, path, record in records:
        yield did, path, cid_of(encoded(record))


class Sandbox:
    """A running sandbox; a context manager that stops it in the end."""

    def __init__(
        self,
        world: World,
        servers: Servers,
        ports: Mapping[str, int] | None = None,
        *,
        or_free: bool = False,
    ) -> None:
        """Begin to serve. `ports` by server's name; a server without one gets a free one.

        With `or_free`, so does one whose port is taken.

        Raises:
            CannotListen: a port is taken.
        """
        self.world = world
        self.servers = servers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="bsky-assets sandbox", daemon=True
        )
        self._runners: list[web.AppRunner] = []
        self._ahead: Future[None] | None = None
        self._thread.start()
        try:
            self._ports = self._run(self._listen(ports or {}, or_free=or_free))
        except BaseException:
            self.stop()
            raise

    @classmethod
    def start(
        cls,
        *,
        seed: int = 0,
        day: date,
        events: int = 30_000,
        rate: float | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> "Sandbox":
        """Serve the world of a seed, on free ports unless `ports` says otherwise.

        Raises:
            CannotListen: a port is taken.
        """
        world = World.generate(seed, day=day, events=events)
        return cls(world, Servers.of(world, rate), ports)

    @property
    def relay_url(self) -> str:
        """Host of com.atproto.sync.subscribeRepos."""
        return f"ws://{HOST}:{self._ports['relay']}"

    @property
    def jetstream_url(self) -> str:
        """The same events as JSON, for BSKY_JETSTREAM_URL."""
        return f"ws://{HOST}:{self._ports['jetstream']}"

    @property
    def appview_url(self) -> str:
        """Host of app.bsky.feed.getFeed."""
        return f"http://{HOST}:{self._ports['appview']}"

    @property
    def labeler_url(self) -> str:
        """Host of com.atproto.label.subscribeLabels and queryLabels."""
        return f"http://{HOST}:{self._ports['labeler']}"

    @property
    def archive_url(self) -> str:
        """Host of network.bsky.jetstream.planSnapshot and what it names."""
        return f"http://{HOST}:{self._ports['archive']}"

    @property
    def plc_url(self) -> str:
        """The directory of accounts, whose repositories are at the same place."""
        return f"http://{HOST}:{self._ports['repositories']}"

    @property
    def news_feeds(self) -> str:
        """Outlets that report what posts speak of, for BSKY_NEWS_FEEDS."""
        base = f"http://{HOST}:{self._ports['news']}"
        return ",".join(f"{name}={base}/{path}" for name, path in FEEDS.items())

    @property
    def llm_base_url(self) -> str:
        """The OpenAI-compatible endpoint."""
        return f"http://{HOST}:{self._ports['llm']}/v1"

    def environment(self) -> dict[str, str]:
        """The variables that point the platform here."""
        return {
            "BSKY_SANDBOX": "true",
            "BSKY_RELAY_URL": self.relay_url,
            "BSKY_APPVIEW_URL": self.appview_url,
            "BSKY_LABELER_URL": self.labeler_url,
            "BSKY_ARCHIVE_URL": self.archive_url,
            "BSKY_PLC_URL": self.plc_url,
            "BSKY_TRUSTED_LABELERS": self.world.labeler_did,
            "BSKY_FEEDS": f"today={self.world.feed_uri}",
            "BSKY_LLM_BASE_URL": self.llm_base_url,
            "BSKY_LLM_MODELS": MODEL,
            "BSKY_EMBEDDINGS_BASE_URL": self.llm_base_url,
            "BSKY_EMBEDDINGS_MODEL": MODEL,
        }

    @property
    def handle(self) -> str:
        """The handle of an account that can log in, with `app_password`."""
        return next(one.handle for one in self.world.accounts if one.status == "active")

    @property
    def app_password(self) -> str:
        """The password of every account."""
        return APP_PASSWORD

    def encode_ahead(self) -> None:
        """Encode the firehose from now on, so that who reads it later need not wait for it."""
        encoding = self.servers.relay.frames.encode_up_to(len(self.world.events))
        self._ahead = asyncio.run_coroutine_threadsafe(encoding, self._loop)

    def stop(self) -> None:
        """Stop serving: connections are closed, ports are free again. Twice is no harm."""
        if self._loop.is_closed():
            return
        try:
            self._run(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_SECONDS)
            self._loop.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self, ports: Mapping[str, int], *, or_free: bool) -> dict[str, int]:
        """Listen on `ports`, or on free ones; the ports that it came to."""
        found: dict[str, int] = {}
        for name, app in self.servers.apps().items():
            runner = web.AppRunner(
                app,
                access_log=None,
                handler_cancellation=True,
                shutdown_timeout=_SHUTDOWN_SECONDS,
            )
            self._runners.append(runner)
            await runner.setup()
            port = ports.get(name, FREE)
            try:
                await web.TCPSite(runner, HOST, port).start()
            except OSError as error:
                if not or_free:
                    raise CannotListen(
                        f"the sandbox's {name} cannot listen on port {port}: {error.strerror}; "
                        "choose another port"
                    ) from None
                await web.TCPSite(runner, HOST, FREE).start()
            found[name] = int(runner.addresses[0][1])
        return found

    async def _close(self) -> None:
        if self._ahead:
            self._ahead.cancel()
        # The relay goes last of all: the Jetstream has its events from there.
        await asyncio.gather(*(runner.cleanup() for runner in self._runners[1:]))
        for relay in self._runners[:1]:
            await relay.cleanup()
