"""Asking a labeler what it says, now, of given posts and accounts.

The stream of labels tells what happens from now on; this tells what stands already.

Source: lexicon com.atproto.label.queryLabels.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bsky_assets.bluesky.json_text import stable_json
from bsky_assets.bluesky.labels import read_label
from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.syntax import is_at_uri, is_did
from bsky_assets.bluesky.xrpc import XrpcHost, as_bytes
from bsky_assets.contracts import Quarantined, RawModerationLabel, arrow_schema
from bsky_assets.settings import Settings
from bsky_assets.sync_day import now

METHOD = "com.atproto.label.queryLabels"
_SUBJECTS_A_REQUEST = 40
"""Keeps the address of a request well below the 8 kB that servers commonly take."""
_PAGE_LABELS = 250
MOST_PAGES = 200
"""Of one request; a labeler that goes on after as many is not read further."""
REQUESTS_AT_ONCE = 4


@dataclass(frozen=True)
class QueriedLabels:
    """What the labeler answered."""

    labels: pa.Table
    """Rows of `RawModerationLabel`."""
    quarantined: pa.Table
    """Rows of `Quarantined`: labels that could not be read."""
    subjects: int
    """Posts and accounts that it was asked about."""
    left_out: int
    """Those that it was not asked about, because there were more than `most_subjects`, or
    because they are neither AT URIs nor DIDs."""


def query_labels(
    settings: Settings,
    uris: Iterable[str],
    dids: Iterable[str],
    *,
    most_subjects: int = 100_000,
) -> QueriedLabels:
    """Every label that the labeler of the settings has on the posts `uris` and accounts `dids`.

    Accounts are asked about first: a label on one counts for all its posts.

    Raises:
        Refused: the labeler does not allow the question.
        Unanswered: it cannot be reached, or answers with nothing that can be read.
    """
    wanted = list(dict.fromkeys([*dids, *uris]))
    subjects = [subject for subject in wanted if is_did(subject) or is_at_uri(subject)][
        :most_subjects
    ]
    batches = [
        subjects[start : start + _SUBJECTS_A_REQUEST]
        for start in range(0, len(subjects), _SUBJECTS_A_REQUEST)
    ]
    rows: list[dict[str, Any]] = []
    odd: list[dict[str, Any]] = []
    done = 0
    with (
        XrpcHost(settings.labeler_url, "BSKY_LABELER_URL") as host,
        ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool,
    ):
        for batch, answer in zip(
            batches, pool.map(lambda batch: list(_ask(host, batch)), batches), strict=True
        ):
            for label, position in answer:
                _sort(label, f"{done}/{position}", host.name, rows, odd)
            done += len(batch)
    unique = {tuple(row[column] for column in RawModerationLabel.key): row for row in rows}
    return QueriedLabels(
        labels=pa.Table.from_pylist([*unique.values()], schema=arrow_schema(RawModerationLabel)),
        quarantined=pa.Table.from_pylist(odd, schema=arrow_schema(Quarantined)),
        subjects=len(subjects),
        left_out=len(wanted) - len(subjects),
    )


def _ask(host: XrpcHost, subjects: list[str]) -> Iterator[tuple[Any, str]]:
    """Each label on `subjects` as it came, with its page and place in it."""
    cursors: set[str] = set()
    params: dict[str, str | int | list[str]] = {"uriPatterns": subjects, "limit": _PAGE_LABELS}
    for number in range(MOST_PAGES):
        page = host.query(METHOD, params, holding="labels")
        for place, label in enumerate(page["labels"]):
            yield label, f"{number}/{place}"
        cursor = page.get("cursor")
        if not page["labels"] or not isinstance(cursor, str) or not cursor or cursor in cursors:
            return
        cursors.add(cursor)
        params["cursor"] = cursor


def _sort(
    label: Any, position: str, origin: str, rows: list[dict[str, Any]], odd: list[dict[str, Any]]
) -> None:
    received_at = now()
    try:
        read, unknown = read_label(label)
    except Unreadable as problem:
        odd.append(
            {
                "source": RawModerationLabel.asset,
                "origin": origin,
                "position": position,
                "reason": problem.reason,
                "detail": problem.detail,
                "content": as_bytes(label),
                "received_at": received_at,
            }
        )
    else:
        rows.append(
            {
                **read,
                "origin": origin,
                "seq": None,
                "received_at": received_at,
                "unknown_fields": stable_json(unknown) if unknown else None,
            }
        )
