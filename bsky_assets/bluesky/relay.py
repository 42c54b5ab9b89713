"""The firehose of a relay, or of a PDS: `com.atproto.sync.subscribeRepos`."""

import aiohttp

from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.websocket import Socket, connect
from bsky_assets.settings import host_of

METHOD = "com.atproto.sync.subscribeRepos"


class Relay:
    """A source that the firehose is read from."""

    variable = "BSKY_RELAY_URL"
    without_holes = True
    may_rest = False
    sends_cursor_again = False
    is_rewound = True
    patience = 30.0
    """Seconds of silence after which the connection is replaced: the network never sleeps."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = host_of(url)
        self.reader = FirehoseReader(self.host)

    async def connect(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        """Go on after `cursor`, or begin with what happens now."""
        query = "" if cursor is None else f"?cursor={cursor}"
        return await connect(client, f"{self.url}/xrpc/{METHOD}{query}")
