"""What the sandbox knows to be true of a day, so that a run can be checked against it exactly.

Everything is counted from what is served: the events, the feed and the labels.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from bsky_sandbox.accounts import PROFILE
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.posts import POST, SandboxPost, cid_of, timestamp
from bsky_sandbox.stream import Event, Op

Rows = list[dict[str, Any]]


def truth(
    posts: Iterable[SandboxPost],
    feed_items: Iterable[SandboxPost],
    labels: Iterable[SandboxLabel],
    events: Iterable[Event],
) -> dict[str, Rows]:
    """What a run must come to, by kind.

    - `posts`: every post, as it is at the end; those with `in_firehose` are what the stream
      creates, each once, and `is_gone` says whether it or its account has gone since.
    - `feed_items`: `uri`, `cid` and `position` of every item of the feed.
    - `deletions`: every deletion of a post (`kind` post) and every account event (`kind`
      account), with `seq`, `did`, `uri` or null, and `status`.
    - `labels`: every moderation label in the labeler's stream.
    - `self_labels`: every label on a profile that the stream creates or updates.
    - `events`: how many events there are of each kind, and operations of each action and
      collection.
    """
    deletions: Rows = []
    own: Rows = []
    kinds: Counter[str] = Counter()
    operations: Counter[tuple[str, str]] = Counter()
    for event in events:
        kinds[event.kind] += 1
        if event.kind == "account":
            deletions.append(_deletion(event, "account", None, event.status))
        for op in event.ops:
            operations[op.action, op.collection] += 1
            if op.action == "delete" and op.collection == POST:
                uri = f"at://{event.did}/{op.path}"
                deletions.append(_deletion(event, "post", uri, "deleted"))
            elif op.collection == PROFILE:
                own.extend(_self_labels(event, op))
    counts = [{"kind": kind, "count": count} for kind, count in sorted(kinds.items())]
    counts += [
        {"kind": "operation", "action": action, "collection": collection, "count": count}
        for (action, collection), count in sorted(operations.items())
    ]
    return {
        "posts": [_post(post) for post in posts],
        "feed_items": [
            {"uri": post.uri, "cid": post.cid, "position": position}
            for position, post in enumerate(feed_items)
        ],
        "deletions": deletions,
        "labels": [asdict(label) for label in labels],
        "self_labels": own,
        "events": counts,
    }


def write_truth(truth: Mapping[str, Rows], path: Path) -> None:
    """Write what is true as JSON lines; `what` in each says of what kind it is."""
    with path.open("wb") as file:
        for what, rows in truth.items():
            for row in rows:
                file.write(orjson.dumps({"what": what, **row}, option=orjson.OPT_APPEND_NEWLINE))


def read_truth(path: Path) -> dict[str, Rows]:
    """What `write_truth` wrote."""
    rows: dict[str, Rows] = {}
    with path.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            rows.setdefault(row.pop("what"), []).append(row)
    return rows


def _post(post: SandboxPost) -> dict[str, Any]:
    return {
        "uri": post.uri,
        "cid": post.cid,
        "did": post.did,
        "record": post.record,
        "language": post.language,
        "is_bot": post.is_bot,
        "is_nsfw": post.is_nsfw,
        "is_spam": post.is_spam,
        "is_hate_speech": post.is_hate_speech,
        "is_political": post.is_political,
        "ideology": post.ideology,
        "is_deleted": post.is_deleted,
        "account_status": post.account_status,
        "is_gone": post.is_deleted or post.account_status != "active",
        "was_updated": post.was_updated,
        "in_firehose": post.in_firehose,
        "in_feed": post.in_feed,
        "indexed_at": timestamp(post.indexed_at),
    }


def _deletion(event: Event, kind: str, uri: str | None, status: str) -> dict[str, Any]:
    return {"kind": kind, "seq": event.seq, "did": event.did, "uri": uri, "status": status}


def _self_labels(event: Event, op: Op) -> Rows:
    values: Sequence[dict[str, str]] = (op.record or {}).get("labels", {}).get("values", ())
    return [
        {
            "seq": event.seq,
            "src": event.did,
            "uri": f"at://{event.did}/{op.path}",
            "cid": cid_of(op.record or {}),
            "val": part["val"],
            "cts": timestamp(event.time),
        }
        for part in values
    ]
