"""The labels of a labeler as they are made: `com.atproto.label.subscribeLabels`.

Source: lexicons com.atproto.label.subscribeLabels and com.atproto.label.defs#label.
"""

from typing import Any

import aiohttp

from bsky_assets.bluesky.frames import FrameReader
from bsky_assets.bluesky.records import PROBLEMS, Unreadable
from bsky_assets.bluesky.rows import instant
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
                self.rows.add_label(read_label(label), body["seq"], received)
            except PROBLEMS as error:
                self.quarantine(error, whole, body["seq"], received)
                whole = b""


def read_label(label: dict[str, Any]) -> dict[str, Any]:
    """A label as `RawModerationLabel` has it, but for where it came from.

    Raises:
        Unreadable: it lacks something, or something is of the wrong type.
    """
    made = instant(label["cts"])
    cid, expires = label.get("cid"), label.get("exp")
    texts = (label["src"], label["uri"], label["val"])
    if made is None or not all(type(text) is str for text in texts):
        raise Unreadable("bad_field", "a label's src, uri, val or cts is not what it should be")
    if not (cid is None or type(cid) is str) or type(label.get("neg", False)) is not bool:
        raise Unreadable("bad_field", "a label's cid or neg is not what it should be")
    if expires is not None and instant(expires) is None:
        raise Unreadable("bad_field", "a label's exp is not a datetime")
    src, uri, val = texts
    return {
        "src": src,
        "uri": uri,
        "cid": cid,
        "val": val,
        "neg": label.get("neg", False),
        "cts": made,
        "exp": None if expires is None else instant(expires),
    }


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
