"""Posts: `app.bsky.feed.post`. How their records are read is in `records`: feeds have them too."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.post_columns import read_posts
from bsky_assets.bluesky.records import COLUMNS, POST, JsonObject, check_post, post_values
from bsky_assets.bluesky.repositories import check_path, checked_did
from bsky_assets.bluesky.rows import Deletion, Put, Rows, TableKind, common_of
from bsky_assets.bluesky.syntax import is_tid
from bsky_assets.contracts import RawFirehosePost, arrow_schema

_SOURCE_FEED = "firehose"
_SECOND = pa.timestamp("s", tz="UTC")
_SCHEMA = arrow_schema(RawFirehosePost)


class Posts(TableKind):
    """Each a row of `raw_firehose_posts`; of one that is deleted `raw_post_deletions` tells."""

    collection = POST
    row = RawFirehosePost

    def check(self, record: JsonObject) -> None:
        check_post(record)

    def values(self, record: JsonObject) -> Any:
        return post_values(record)

    def by_column(self, host: str, puts: Sequence[Put]) -> tuple[pa.Table, Sequence[bool]] | None:
        """Those whose records are as usual; a host that sends JSON sends none."""
        if not all(type(put[-1]) is bytes for put in puts):
            return None
        read = read_posts(pa.array([put[-1] for put in puts], pa.binary()))
        is_usual = read.is_usual.to_pylist()
        if not len(read.cid):
            return None
        usual = [put for put, is_one in zip(puts, is_usual, strict=True) if is_one]
        columns = common_of(host, usual)
        columns |= self.columns_of(read.record, columns["received_at"])
        arrays = [columns[name] for name in _SCHEMA.names]
        return pa.Table.from_arrays(arrays, schema=_SCHEMA), is_usual

    def columns(self, values: Sequence[Any], received: pa.Array) -> Mapping[str, pa.Array]:
        return self.columns_of(_struct("record", _record_columns(values)), received)

    def columns_of(self, records: pa.StructArray, received: pa.Array) -> Mapping[str, pa.Array]:
        """The columns besides those that all kinds have, of records that are in columns already."""
        count = len(records)
        return {
            "record": records,
            "metadata": _struct(
                "metadata",
                {
                    "synctimestamp": _synctimestamps(received),
                    "source_feed": pa.repeat(_SOURCE_FEED, count),
                    "url": pa.nulls(count, pa.string()),
                },
            ),
            "dated_by": pa.nulls(count, pa.string()),
            "earlier_versions": pa.nulls(count, _SCHEMA.field("earlier_versions").type),
        }

    def take_deletion(self, rows: Rows, deletion: Deletion) -> None:
        did, rev = checked_did(deletion.did), deletion.rev
        check_path(deletion.path)
        known_rev, odd = (rev, None) if is_tid(rev) or rev is None else (None, {"rev": rev})
        rows.add_deletion(
            did,
            deletion.path,
            "deleted",
            known_rev,
            deletion.seq,
            deletion.time,
            deletion.received,
            odd,
        )


def _record_columns(records: Sequence[tuple[Any, ...]]) -> dict[str, pa.Array]:
    types = {field.name: field.type for field in _SCHEMA.field("record").type}
    return {
        name: pa.array(values, types[name])
        for name, values in zip(COLUMNS, zip(*records, strict=True), strict=True)
    }


def _struct(column: str, fields: Mapping[str, pa.Array]) -> pa.StructArray:
    kind = _SCHEMA.field(column).type
    return pa.StructArray.from_arrays([fields[field.name] for field in kind], fields=list(kind))


def _synctimestamps(received: pa.Array) -> pa.Array:
    seconds = received.cast(_SECOND, safe=False).dictionary_encode()
    return pc.strftime(seconds.dictionary, format="%Y-%m-%d-%H:%M:%S").take(seconds.indices)


KIND = Posts()
