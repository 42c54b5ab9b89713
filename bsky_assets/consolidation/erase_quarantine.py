"""Which rows of quarantine are about what is gone: found by what their bytes name.

A row may be a frame of two megabytes that names hundreds of records: only names leave it, and a
part of the rows is held at a time.
"""

import re
from collections.abc import Iterable, Iterator

import duckdb
import pyarrow as pa

_KEY = re.compile(rb"app\.bsky\.feed\.post/([A-Za-z0-9._:~-]{1,64})")
_DID = re.compile(rb"(?=(did:[a-z]+:[A-Za-z0-9._:%-]{1,128}))")
"""Wherever one begins: it may follow right after another."""
_NAMES = pa.schema({"number": pa.int64(), "name": pa.string()})


def register_about(con: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch]) -> None:
    """Make the temporary table `touched`: numbers, from 1, of the rows about what is gone.

    Reads `gone_records` and `gone_for_good`. A key or DID may be followed by other bytes that
    could be its own: every beginning counts.
    """
    keys, dids = _names(batches)
    con.register("named_keys", keys)
    con.register("named_dids", dids)
    beginning = (
        "SELECT DISTINCT number, unnest(list_transform(range(1, length(name) + 1), "
        "lambda until: substr(name, 1, until))) AS"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE touched AS
        WITH keys AS ({beginning} key FROM named_keys),
        dids AS ({beginning} did FROM named_dids)
        SELECT number FROM keys
        JOIN (SELECT did, split_part(uri, '/', 5) AS key FROM gone_records) USING (key)
        SEMI JOIN dids USING (number, did)
        UNION
        SELECT number FROM dids SEMI JOIN gone_for_good USING (did)
        """
    )
    con.unregister("named_keys")
    con.unregister("named_dids")


def _names(batches: Iterable[pa.RecordBatch]) -> tuple[pa.Table, pa.Table]:
    """The record keys and the DIDs that each row names, its detail included."""
    keys: list[tuple[int, str]] = []
    dids: list[tuple[int, str]] = []
    for number, text in enumerate(_texts(batches), start=1):
        for part in text:
            keys += ((number, found[1].decode()) for found in _KEY.finditer(part))
            dids += ((number, found[1].decode()) for found in _DID.finditer(part))
    return _table(keys), _table(dids)


def _texts(batches: Iterable[pa.RecordBatch]) -> Iterator[list[memoryview]]:
    """Detail and content of each row; nothing of one that has no content any more."""
    for batch in batches:
        for detail, content in zip(batch["detail"], batch["content"], strict=True):
            parts = [part.as_buffer() for part in (detail, content) if part.is_valid]
            yield [memoryview(part) for part in parts] if len(content.as_buffer() or b"") else []


def _table(names: list[tuple[int, str]]) -> pa.Table:
    numbers, texts = zip(*names, strict=True) if names else ((), ())
    return pa.table([pa.array(numbers, pa.int64()), pa.array(texts, pa.string())], schema=_NAMES)
