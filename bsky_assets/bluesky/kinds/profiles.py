"""Profiles: `app.bsky.actor.profile`, for the labels that accounts put on themselves."""

from libipld import encode_cid

from bsky_assets.bluesky.records import self_labels
from bsky_assets.bluesky.rows import Kind, Put, Rows, instant


class Profiles(Kind):
    """Each label on one is a row of `raw_moderation_labels`."""

    collection = "app.bsky.actor.profile"

    def take(self, rows: Rows, put: Put) -> None:
        did, path, cid, _, _, seq, time, received, record = put
        for value in self_labels(record) or ():
            label = {
                "src": did,
                "uri": f"at://{did}/{path}",
                "cid": cid if isinstance(cid, str) else encode_cid(cid),
                "val": value,
                "neg": False,
                "cts": instant(time) or received,
                "exp": None,
            }
            rows.add_label(label, seq, received)


KIND = Profiles()
