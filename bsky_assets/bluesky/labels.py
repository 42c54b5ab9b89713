"""Reading one label, as a labeler streams it, answers with it, or an AppView shows it.

Who says what of whom must be right; whatever else cannot be read is null, and told.

Source: lexicon com.atproto.label.defs#label.
"""

from collections.abc import Callable
from typing import Any

from bsky_assets.bluesky.json_text import is_unicode
from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.rows import instant
from bsky_assets.bluesky.syntax import is_at_uri, is_did

_KNOWN = frozenset(("$type", "src", "uri", "cid", "val", "neg", "cts", "exp", "sig", "ver"))


def read_label(label: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `RawModerationLabel` has of a label, and what else it had or could not be read.

    Raises:
        Unreadable: it cannot be told who says what of whom.
    """
    if not isinstance(label, dict):
        raise Unreadable("not_an_object", "the label is not an object")
    _require(label, "src", is_did)
    _require(label, "uri", lambda uri: is_did(uri) or is_at_uri(uri))
    _require(label, "val", lambda val: type(val) is str and val != "" and is_unicode(val))
    neg = label.get("neg")
    if not (neg is None or type(neg) is bool):
        raise Unreadable("bad_field", "the label's neg is not a boolean")
    cid, made, expires = label.get("cid"), label.get("cts"), label.get("exp")
    row = {
        "src": label["src"],
        "uri": label["uri"],
        "cid": cid if type(cid) is str and is_unicode(cid) else None,
        "val": label["val"],
        "neg": neg is True,
        "cts": instant(made),
        "exp": instant(expires),
    }
    odd = {key: value for key, value in label.items() if key not in _KNOWN}
    if row["cts"] is None:
        odd["cts"] = made
    odd |= {
        name: label[name]
        for name in ("cid", "exp")
        if label.get(name) is not None and row[name] is None
    }
    return row, odd


def _require(label: dict[str, Any], name: str, is_good: Callable[[Any], bool]) -> None:
    if name not in label:
        raise Unreadable("missing_field", f"the label's {name} is missing")
    if not is_good(label[name]):
        raise Unreadable("bad_field", f"the label's {name} is not what it should be")
