"""Which exports were made, and whose posts are in them: to know which to make anew.

An author is kept as a pseudonym, so that the register names nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.exports.pseudonyms import pseudonym, pseudonym_key, register_pseudonyms
from bsky_assets.storage.files import staged, unique_id

FOLDER = "exports"
"""In the data directory: a file for each export, with the pseudonyms of its authors."""
_TOLD = b"bsky_assets.export"


@dataclass(frozen=True)
class PastExport:
    """An export, as it was when it was made."""

    folder: str
    level: str
    made_at: datetime
    days: Sequence[str]


def record_export(
    con: duckdb.DuckDBPyConnection, data_dir: Path, export: PastExport, rows: Sequence[str]
) -> None:
    """Keep that an export was made of the SQL `rows`, which have the `uri` of posts.

    Raises:
        UnusableDataDirectory: it cannot be written.
    """
    register_pseudonyms(con, pseudonym_key(data_dir))
    posts = " UNION ALL ".join(f"SELECT uri FROM ({each})" for each in rows)
    authors = con.sql(
        f"SELECT DISTINCT pseudonym(split_part(uri, '/', 3)) AS author FROM ({posts}) ORDER BY 1"
    ).to_arrow_table()
    told = orjson.dumps(export)
    with staged(data_dir / FOLDER / f"{unique_id()}.parquet") as path:
        schema = pa.schema([("author", pa.string())], metadata={_TOLD: told})
        pq.write_table(authors.cast(schema), path, compression="zstd")


def exports_holding(data_dir: Path, did: str) -> list[PastExport]:
    """The exports that have a post by `did`, oldest first."""
    paths = sorted((data_dir / FOLDER).glob("*.parquet"))
    if not paths:
        return []
    author = pseudonym(pseudonym_key(data_dir), did)
    held = (pq.read_table(path, filters=[("author", "=", author)]) for path in paths)
    found = [
        orjson.loads(pq.read_schema(path).metadata[_TOLD])
        for path, table in zip(paths, held, strict=True)
        if table.num_rows
    ]
    made = (
        PastExport(**{**one, "made_at": datetime.fromisoformat(one["made_at"])}) for one in found
    )
    return sorted(made, key=lambda one: one.made_at)
