"""The labels of a labeler as they are made: `com.atproto.label.subscribeLabels`.

Source: lexicons com.atproto.label.subscribeLabels and com.atproto.label.defs#label.
"""

from typing import Any

import aiohttp

from bsky_assets.bluesky.frames import FrameReader
from bsky_assets.bluesky.json_text import stable_json
from bsky_assets.bluesky.labels import read_label
from bsky_assets.bluesky.records import PROBLEMS, Unreadable
from bsky_assets.bluesky.websocket import Socket, connect
from bsky_assets.contracts import RawModerationLabel
from bsky_assets.settings import host_of

METHOD = "com.atproto.label.subscribeLabels"


class LabelReader(FrameReader):
    """Frames of a host's `subscribeLabels`, read one after the other."""

    source = RawModerationLabel.asset
    usual_kind = "labels"

    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        if kind != "#labels":
            self.note_kind("unknown")
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")
        whole = frame
        for label in body["labels"]:
            try:
                row, odd = read_label(label)
                told = {"unknown_fields": stable_json(odd) if odd else None}
                self.rows.add_label(row | told, body["seq"], received)
            except PROBLEMS as error:
                self.quarantine(error, whole, body["seq"], received)
                whole = b""


class LabelStream:
    """A labeler that labels are read from."""

    variable = "BSKY_LABELER_URL"
    without_holes = False
    may_rest = True
    sends_cursor_again = False
    is_rewound = False
    patience = 600.0
    """Seconds of silence after which the connection is replaced: a small labeler rests."""

    def __init__(self, url: str) -> None:
        """Read from the host of `url` (http or https, as for its other methods)."""
        self.url = url.replace("http", "ws", 1)
        self.host = host_of(url)
        self.reader = LabelReader(self.host)

    async def connect(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        """Go on after `cursor`, or begin with what happens now."""
        query = "" if cursor is None else f"?cursor={cursor}"
        return await connect(client, f"{self.url}/xrpc/{METHOD}{query}")
