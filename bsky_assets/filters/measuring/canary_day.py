"""A made-up day, of whose accounts and labels the facts are known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import ConsolidatedPost, RawModerationLabel, arrow_schema
from bsky_assets.filters.config import facts_config
from bsky_assets.filters.facts.gathering import facts_of_views

_START = datetime(2026, 1, 1, 6, tzinfo=UTC)
_LABELER, _STRANGER = "did:plc:labeler", "did:plc:stranger"


@dataclass(frozen=True)
class AccountCanary:
    """An account, what it posts and is labelled, and what the facts must say of its posts."""

    name: str
    filter: str
    reason: str | None
    """Of its last post; null where there must be no fact."""
    texts: Sequence[str] = ("a quiet day at the allotment",)
    minutes: float = 47.3
    """Between its posts."""
    link: str | None = None
    labels: Sequence[dict[str, Any]] = field(default_factory=tuple)
    self_labels: Sequence[str] = ()

    @property
    def did(self) -> str:
        return f"did:plc:{self.name}"

    def uri(self, number: int) -> str:
        return f"at://{self.did}/app.bsky.feed.post/{number}"


def _label(val: str, src: str = _LABELER, **more: Any) -> dict[str, Any]:
    return {"val": val, "src": src, "neg": False, "cts": _START, **more}


_ADVERT = "Our clinic now offers a wonderful treatment for tired feet, ask for {} at the front desk"

CANARIES: tuple[AccountCanary, ...] = (
    AccountCanary("person", "bot", None, ["one", "two", "three"]),
    AccountCanary(
        "torrent", "bot", "rule:posts_an_hour", [f"entry {n:x}" for n in range(70)], minutes=0.5
    ),
    AccountCanary(
        "parrot", "bot", "rule:repeats_itself", ["the very same announcement as before"] * 8
    ),
    AccountCanary(
        "declared", "bot", "label:bot account", labels=[_label("bot", "did:plc:declared")]
    ),
    AccountCanary("explicit", "nsfw", "label:porn", labels=[_label("porn", on_post=True)]),
    AccountCanary("candid", "nsfw", "label:nudity self", self_labels=["nudity"]),
    AccountCanary("cleared", "nsfw", None, labels=[
        _label("porn"), _label("porn", neg=True, cts=_START + timedelta(hours=1)),
    ]),
    AccountCanary("lapsed", "nsfw", None, labels=[_label("porn", exp=_START + timedelta(hours=1))]),
    AccountCanary("slandered", "nsfw", None, labels=[_label("porn", _STRANGER)]),
    AccountCanary("spammer", "spam", "label:spam account", labels=[_label("spam")]),
    AccountCanary(
        "bully", "hate_speech", "label:intolerant account", labels=[_label("intolerant")]
    ),
    *(
        AccountCanary(f"advertiser{n}", "campaign", "rule:campaign", [_ADVERT.format(n)])
        for n in range(6)
    ),
)  # fmt: skip


def reasons(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """What the facts say of the last post of each canary, by filter and name; views are made."""
    posts = [(canary, row) for canary in CANARIES for row in _posts(canary)]
    day = pa.Table.from_pylist([row for _, row in posts], arrow_schema(ConsolidatedPost))
    labels = pa.Table.from_pylist(
        [row for canary in CANARIES for row in _labels(canary)],
        arrow_schema(RawModerationLabel),
    )
    con.register(
        "canary_posts",
        day.append_column("row", pa.array(range(len(posts)), pa.int64())),
    )
    con.register("labels", labels)
    con.execute("CREATE TEMP VIEW day_posts AS SELECT * FROM canary_posts")
    con.execute("CREATE TEMP VIEW earlier_posts AS SELECT * FROM canary_posts WHERE false")
    facts = facts_of_views(con, _START + timedelta(hours=20), facts_config(), [_LABELER])
    return {
        (name, posts[row][0].name): reason
        for name, (rows, found) in facts.items()
        for row, reason in zip(rows.tolist(), found.to_pylist(), strict=True)
    }


def _posts(canary: AccountCanary) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(canary.texts):
        yield {
            "uri": canary.uri(number),
            "cid": "bafycanary",
            "indexed_at": _START + number * timedelta(minutes=canary.minutes),
            "author": {"did": canary.did},
            "record": {"text": text, "labels": list(canary.self_labels)},
            "applied_labels": [],
        }


def _labels(canary: AccountCanary) -> Iterator[dict[str, Any]]:
    for label in canary.labels:
        on_post = label.get("on_post", False)
        yield {
            "uri": canary.uri(len(canary.texts) - 1) if on_post else canary.did,
            "cid": None,
            "exp": None,
            "origin": "canary",
            "seq": None,
            "received_at": _START,
            **{key: value for key, value in label.items() if key != "on_post"},
        }
