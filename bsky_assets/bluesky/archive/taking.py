"""Rows of an archive become rows of the contracts, as those of the live stream do.

What is checked there by commit is checked here by column, and posts that are as usual are read by
column; all others by the code that reads the live stream. A post is kept apart, in quarantine,
whose day cannot be known: its key's clock and its author's `createdAt` say two.
What does not belong here: which rows are asked for, and where they land.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.archive.blocks import CREATE, UPDATE
from bsky_assets.bluesky.archive.dating import KEY, NOT_DATED, clocks
from bsky_assets.bluesky.archive.markers import fits, take_markers, whole
from bsky_assets.bluesky.cars import CID_PREFIX
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.post_columns import PostColumns, read_names, read_posts
from bsky_assets.bluesky.records import POST, Unreadable
from bsky_assets.bluesky.rows import Put, Rows, Tables, common, instants
from bsky_assets.contracts import Quarantined, RawFirehosePost, RawPostDeletion, arrow_schema

UNDATABLE = "undatable"
"""Why a post is in quarantine whose day cannot be known."""
_INSTANT = pa.timestamp("us", tz="UTC")
_APART = timedelta(hours=1)
"""Two clocks that are no further apart are taken to agree, on whichever side of midnight."""
_CLOCKS_DISAGREE = "the day cannot be known: the record's key and its createdAt name two"


@dataclass
class Taken:
    """What came of some rows."""

    tables: Tables
    quarantined: Counter[str] = field(default_factory=Counter)
    """By reason."""
    dated_by: Counter[str] = field(default_factory=Counter)


def take(rows: pa.Table, host: str, received: datetime, timezone: ZoneInfo) -> Taken:
    """Make rows of the contracts from `rows`, which have the columns of a sheet.

    Args:
        rows: posts and markers, each with when it happened.
        host: whose archive they are of.
        received: when they came to us.
        timezone: of sync days.
    """
    gathered = Rows(host, RawFirehosePost.asset)
    at = int(received.timestamp() * 1_000_000)
    rows = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
    puts = rows.filter(pc.less_equal(rows["kind"], UPDATE)).combine_chunks()
    puts = puts.append_column("action", _actions(puts, timezone))
    markers = take_markers(gathered, rows.filter(pc.greater(rows["kind"], UPDATE)), at)
    tables, posts = _read_posts(gathered, puts, at)
    tables[RawPostDeletion] = markers
    is_known = _is_day_known(posts, timezone)
    if not pc.all(is_known).as_py():
        _keep_apart(gathered, posts.filter(pc.invert(is_known)), rows, at)
        posts = posts.filter(is_known)
    tables[RawFirehosePost] = posts.drop_columns("place")
    tables[Quarantined] = pa.Table.from_pylist(
        gathered.quarantined, schema=arrow_schema(Quarantined)
    )
    reasons = Counter(row["reason"] for row in gathered.quarantined)
    counts = pc.value_counts(posts["dated_by"]).to_pylist()
    return Taken(tables, reasons, Counter({one["values"]: one["counts"] for one in counts}))


def _actions(puts: pa.Table, timezone: ZoneInfo) -> pa.Array:
    """create for a post that is of the day, of which the archive may have its latest edit alone."""
    is_created = pc.equal(whole(puts["kind"]), CREATE)
    actions = pc.if_else(is_created, "create", "update")
    others = puts.select(["rkey", "at"]).filter(pc.invert(is_created))
    if not others.num_rows:
        return actions
    keys = clocks(whole(others["rkey"]))
    made = pa.array(keys, mask=keys == NOT_DATED).cast(_INSTANT)
    at = whole(others["at"]).cast(_INSTANT)
    is_of_day = pc.fill_null(pc.equal(_days(made, timezone), _days(at, timezone)), False)
    found = pc.if_else(is_of_day, "create", "update")
    return pc.replace_with_mask(actions, pc.invert(is_created), found)


def _good_puts(gathered: Rows, rows: pa.Table, received: int) -> pa.Table:
    """The posts that have a record and are what they say; the others go into quarantine."""
    is_good = pc.and_(rows["is_named"], pc.is_valid(rows["payload"]))
    bad = rows.filter(pc.invert(is_good))
    problem = Unreadable("bad_commit", "the post has no record, or is none by its DID, key or rev")
    for seq, record in zip(bad["seq"].to_pylist(), bad["payload"].to_pylist(), strict=True):
        gathered.quarantine(problem, record or b"", str(seq), received)
    return rows.filter(is_good)


def _read_posts(gathered: Rows, puts: pa.Table, received: int) -> tuple[Tables, pa.Table]:
    """All tables of what was gathered, and the posts, each with its place among the rows.

    Those that are as usual come first.
    """
    usual = read_posts(whole(puts["payload"]))
    names = read_names(*(whole(puts[name]) for name in ("did", "rkey", "rev")))
    # A number that does not fit is told of by the code that reads one by one.
    is_good = pc.and_(names.is_named, fits(whole(puts["seq"])))
    is_usual = pc.and_(usual.is_usual, is_good)
    is_kept = is_good.filter(usual.is_usual)
    named = puts.drop_columns("payload").append_column("uri", names.uri)
    by_column = _table(gathered.host, _kept(named, is_usual), usual, is_kept, received)
    puts = puts.append_column("is_named", names.is_named)
    others = _good_puts(gathered, puts.filter(pc.invert(is_usual)), received)
    gathered.puts[POSTS] = list(_puts(others, received))
    places = dict(zip(map(id, gathered.puts[POSTS]), others["place"].to_pylist(), strict=True))
    tables = gathered.tables()
    left = [places[id(put)] for put in gathered.puts[POSTS]]
    one_by_one = tables[RawFirehosePost].append_column("place", pa.array(left, pa.int64()))
    return tables, pa.concat_tables([by_column, _dated(one_by_one, others)])


def _table(
    host: str, puts: pa.Table, read: PostColumns, is_kept: pa.Array, received: int
) -> pa.Table:
    """The rows of posts that were read by column, with their places."""
    at = pa.repeat(pa.scalar(received, _INSTANT), puts.num_rows)
    given = {
        "uri": whole(puts["uri"]),
        "author": whole(puts["did"]),
        "cid": _kept(read.cid, is_kept),
        "rev": whole(puts["rev"]),
        "action": whole(puts["action"]),
        "seq": whole(puts["seq"]).cast(pa.int64()),
        "commit_time": whole(puts["at"]).cast(_INSTANT),
    }
    columns = {**common(host, given, at), **POSTS.columns_of(_kept(read.record, is_kept), at)}
    columns["dated_by"] = whole(puts["dated_by"])
    schema = arrow_schema(RawFirehosePost)
    table = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    return table.append_column("place", puts["place"])


def _kept(found: Any, is_kept: pa.Array) -> Any:
    """What of an array or a table is kept; mostly all of it."""
    return found if pc.all(is_kept).as_py() else found.filter(is_kept)


def _puts(rows: pa.Table, received: int) -> Iterator[Put]:
    names = ("did", "rkey", "rev", "action", "seq", "payload")
    for did, key, rev, action, seq, record in zip(
        *(rows[name].to_pylist() for name in names), strict=True
    ):
        cid = CID_PREFIX + sha256(record).digest()
        yield did, f"{POST}/{key}", cid, rev, action, seq, None, received, record


def _dated(posts: pa.Table, rows: pa.Table) -> pa.Table:
    """`posts` with when each happened, and how that is known, which the `rows` of them tell."""
    of = rows.select(["at", "dated_by"]).take(pc.index_in(posts["place"], rows["place"]))
    for name, values in (("commit_time", of["at"].cast(_INSTANT)), ("dated_by", of["dated_by"])):
        at = posts.schema.get_field_index(name)
        posts = posts.set_column(at, posts.schema.field(name), values)
    return posts


def _is_day_known(posts: pa.Table, timezone: ZoneInfo) -> pa.Array:
    """Whether a post that its key's clock dates is of the same day by its author's words."""
    by_clock = pc.fill_null(pc.equal(whole(posts["dated_by"]), KEY), False)
    dated = posts.select(["record", "commit_time"]).filter(by_clock)
    if not dated.num_rows:
        return pc.invert(by_clock)
    written = instants(pc.struct_field(whole(dated["record"]), "created_at"))
    at = whole(dated["commit_time"])
    apart = pc.abs(pc.subtract(written.cast(pa.int64()), at.cast(pa.int64())))
    is_near = pc.less_equal(apart, _APART // timedelta(microseconds=1))
    agrees = pc.or_(is_near, pc.equal(_days(written, timezone), _days(at, timezone)))
    return pc.replace_with_mask(pc.invert(by_clock), by_clock, pc.fill_null(agrees, False))


def _days(instants: pa.Array, timezone: ZoneInfo) -> pa.Array:
    return pc.local_timestamp(instants.cast(pa.timestamp("us", timezone.key))).cast(
        pa.date32(), safe=False
    )


def _keep_apart(gathered: Rows, posts: pa.Table, rows: pa.Table, received: int) -> None:
    payloads = rows["payload"].take(posts["place"]).to_pylist()
    named = zip(posts["uri"].to_pylist(), posts["seq"].to_pylist(), payloads, strict=True)
    for uri, seq, payload in named:
        problem = Unreadable(UNDATABLE, f"{_CLOCKS_DISAGREE}: {uri}")
        gathered.quarantine(problem, payload, str(seq), received)
