"""Every byte of a folder, what is compressed in it decompressed, and what is found in them."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PIECE = 20
GRAIN = PIECE // 2
"""Wherever a piece stands, one of every so many places has so many characters of it."""
_ESCAPED = frozenset('"\\\n\r\t')


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file as it is on disk and, where that hides bytes, once more so that it does not."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, raw = str(path.relative_to(folder)), path.read_bytes()
        yield name, name.encode() + b"\n" + raw
        if raw[:4] == b"PAR1":
            yield f"{name}, decompressed", _plain_parquet(path)
        elif raw[:16] == b"SQLite format 3\0":
            yield f"{name}, dumped", _dump(path)
        elif raw[:2] == b"\x1f\x8b":
            yield f"{name}, decompressed", zlib.decompress(raw, wbits=31)


def pieces(text: str) -> set[str]:
    """Every stretch of 20 characters of `text`, but for those that files write in other ways."""
    found = (text[start : start + PIECE] for start in range(len(text) - PIECE + 1))
    return {piece for piece in found if not _ESCAPED & set(piece)}


def holding(folder: Path, needles: Iterable[str]) -> dict[str, list[str]]:
    """The files that hold any of `needles`, as UTF-8 or as JSON in ASCII, and which."""
    forms = {needle: {needle.encode(), _in_ascii(needle)} for needle in needles}
    found: dict[str, list[str]] = {}
    for name, content in contents(folder):
        held = [needle for needle, each in forms.items() if any(form in content for form in each)]
        if held:
            found[name] = held
    return found


def holding_pieces(folder: Path, texts: Iterable[str]) -> dict[str, set[str]]:
    """The files that hold a stretch of 20 characters of any of `texts`, and which."""
    wanted = {piece for text in texts for piece in pieces(text)}
    grains = {piece[at : at + GRAIN] for piece in wanted for at in range(PIECE - GRAIN + 1)}
    found = {}
    for name, content in contents(folder):
        read = content.decode("utf-8", "surrogateescape")
        if held := wanted & {piece for around in _around(read, grains) for piece in pieces(around)}:
            found[name] = held
    return found


def _around(read: str, grains: set[str]) -> Iterator[str]:
    """What stands around every tenth place of `read` where one of `grains` does."""
    for at in range(0, len(read), GRAIN):
        if read[at : at + GRAIN] in grains:
            yield read[max(at - GRAIN, 0) : at + PIECE]


def _in_ascii(text: str) -> bytes:
    return text.encode("unicode_escape").replace(b"\\x", b"\\u00")


def _plain_parquet(path: Path) -> bytes:
    sink = pa.BufferOutputStream()
    table = pq.ParquetFile(path).read()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return bytes(sink.getvalue().to_pybytes()) + repr(table.schema.metadata).encode()


def _dump(path: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        names = [
            name.decode()
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = (row for name in names for row in database.execute(f'SELECT * FROM "{name}"'))
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for row in rows
            for value in row
        )
