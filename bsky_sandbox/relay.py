"""The sandbox's relay: com.atproto.sync.subscribeRepos.

What does not belong here: what happens in the network (`world`), frames and cursors.
"""

from collections.abc import Iterable, Sequence

from aiohttp import web

from bsky_sandbox.event_stream import EventStream
from bsky_sandbox.faults import StreamFaults
from bsky_sandbox.frames import FrameEncoder, FrameLog
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.repo import Cid
from bsky_sandbox.stream import Event

METHOD = "com.atproto.sync.subscribeRepos"


class Relay:
    """Serves events as the firehose. `stream.injector.faults` can be replaced while it runs.

    A consumer without a cursor begins with what happens from then on, and nothing happens before
    the first consumer comes. Without a rate, events happen as fast as any consumer reads them.
    """

    def __init__(
        self,
        events: Sequence[Event],
        records: Iterable[tuple[str, str, Cid]] = (),
        *,
        rate: float | None = None,
        backlog: int | None = None,
        faults: StreamFaults | None = None,
        http_faults: HttpFaults | None = None,
    ) -> None:
        """Serve `events`, at least one, numbered without gaps.

        `records`: DID, path and CID of what repositories had before. `rate`: events a second.
        `backlog`: how many of the events that happened are kept; None is all.
        """
        self.frames = FrameLog(events, FrameEncoder(records).encode)
        """All that it has to send, by place, as it is without faults."""
        self.stream = EventStream(
            self.frames,
            range(events[0].seq, events[0].seq + len(events)),
            lowest_cursor=events[0].seq - 1,
            rate=rate,
            backlog=backlog,
            faults=faults,
            http_faults=http_faults,
        )

    def app(self) -> web.Application:
        """The relay as an application, to be run where the caller pleases."""
        app = web.Application()
        app.add_routes(
            [
                web.get(f"/xrpc/{METHOD}", self.stream.handle),
                web.get("/xrpc/_health", _health),
                *self.stream.upgrades.routes(),
            ]
        )
        app.on_shutdown.append(self.stream.shut_down)
        return app


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"version": "bsky-assets sandbox"})
