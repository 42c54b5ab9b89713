"""Vectors that an endpoint gave, kept by model and by hash of the text; texts are not kept.

Each writer adds immutable Parquet files of its own, so any number may write at once. When a post
is deleted, the vector of its text is removed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding.packaged import Vectors
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.files import staged, unique_id
from bsky_assets.storage.sql import read_parquet
from bsky_assets.sync_day import now

FOLDER = "text_vectors"
"""In the folder of the ledger."""

_SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "model_digest": pa.string(),
        "text_hash": pa.string(),
        "vector": pa.list_(pa.float32()),
        "made_at": pa.timestamp("us", tz="UTC"),
    }
)


class OtherLength(UserError):
    """A model gives vectors of another length than those that are kept of it."""


class VectorStore:
    """The vectors in the folder of a ledger."""

    def __init__(self, ledger: Path) -> None:
        """Look into `ledger`; nothing is created before the first write."""
        self.folder = ledger / FOLDER

    def files(self) -> list[Path]:
        """The files, each immutable."""
        return sorted(self.folder.glob("part-*.parquet"))

    def known(self, model: str, digest: str | None, hashes: Iterable[str]) -> dict[str, Vectors]:
        """The vectors of those of `hashes` of which `model` gave one, by hash.

        Raises:
            OtherLength: they are not all of one length.
        """
        if not (files := self.files()):
            return {}
        with in_memory() as con:
            con.register("wanted", pa.table({"text_hash": pa.array([*hashes], pa.string())}))
            found = con.sql(
                f"""
                SELECT text_hash, any_value(vector ORDER BY made_at) AS vector
                FROM {read_parquet(files)} SEMI JOIN wanted USING (text_hash)
                WHERE model = ? AND model_digest IS NOT DISTINCT FROM ? GROUP BY text_hash
                """,
                params=[model, digest],
            ).to_arrow_table()
        vectors = _matrix(found["vector"].combine_chunks(), model, self.folder)
        return dict(zip(found["text_hash"].to_pylist(), vectors, strict=True))

    def last_digest(self, model: str) -> str | None:
        """What identified the weights of `model` when it was last asked; None if not known."""
        if not (files := self.files()):
            return None
        with in_memory() as con:
            ((digest,),) = con.execute(
                f"SELECT arg_max(model_digest, made_at) FROM {read_parquet(files)} WHERE model = ?",
                [model],
            ).fetchall()
        last: str | None = digest
        return last

    def width(self, model: str, digest: str | None) -> int | None:
        """How long the vectors are that are kept of `model`; None if there are none."""
        if not (files := self.files()):
            return None
        with in_memory() as con:
            found = con.execute(
                f"SELECT len(vector) FROM {read_parquet(files)} "
                "WHERE model = ? AND model_digest IS NOT DISTINCT FROM ? LIMIT 1",
                [model, digest],
            ).fetchall()
        return int(found[0][0]) if found else None

    def add(self, model: str, digest: str | None, hashes: Sequence[str], vectors: Vectors) -> None:
        """Keep the vectors of the texts with these hashes.

        Raises:
            OtherLength: those of the model that are here are of another length.
            UnusableDataDirectory: they cannot be written.
        """
        kept = self.width(model, digest)
        if kept is not None and kept != vectors.shape[1]:
            raise _other_length(model, (kept, vectors.shape[1]), self.folder)
        count = len(hashes)
        rows = [
            pa.array([model] * count, pa.string()),
            pa.array([digest] * count, pa.string()),
            pa.array(hashes, pa.string()),
            pa.array([*vectors], pa.list_(pa.float32())),
            pa.array([now()] * count, pa.timestamp("us", tz="UTC")),
        ]
        with staged(self.folder / f"part-{unique_id()}.parquet") as path:
            pq.write_table(pa.table(rows, schema=_SCHEMA), path, compression="zstd")

    def forget(self, hashes: Iterable[str]) -> int:
        """Remove the vectors of the texts with these hashes; returns how many there were.

        Raises:
            UnusableDataDirectory: a file cannot be replaced; those before it are.
        """
        gone, removed = pa.array(sorted(hashes), pa.string()), 0
        for file in self.files():
            rows = pq.ParquetFile(file).read()
            left = rows.filter(pc.invert(pc.is_in(rows["text_hash"], gone)))
            if left.num_rows < rows.num_rows:
                removed += rows.num_rows - left.num_rows
                with staged(file) as path:
                    pq.write_table(left, path, compression="zstd")
        return removed


def _matrix(vectors: pa.ListArray, model: str, folder: Path) -> Vectors:
    widths = sorted(pc.unique(pc.list_value_length(vectors)).to_pylist())
    if len(widths) > 1:
        raise _other_length(model, widths, folder)
    flat: Vectors = vectors.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(vectors), widths[0] if widths else 0).astype(np.float32)


def _other_length(model: str, widths: Sequence[int], folder: Path) -> OtherLength:
    return OtherLength(
        f"{model} gives vectors of {widths[-1]:,} numbers, and of {widths[0]:,} before: it is "
        f"another model by the same name; give it another name, or remove {folder}"
    )
