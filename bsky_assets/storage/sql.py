"""SQL that holds a path, a text or a name: written here and nowhere else.

A path is a text that anybody may have chosen: it is never a pattern, and nothing in it ever
becomes the value of a column.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from bsky_assets.storage.objects import ObjectPath

_PATTERN = re.compile(r"[*?\[]")


def literal(value: object) -> str:
    """`value` as a text in SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as the name of a column or a table in SQL."""
    return '"' + name.replace('"', '""') + '"'


def read_parquet(paths: Iterable[Path | ObjectPath], *options: str) -> str:
    """SQL for the rows of the Parquet files `paths`, at least one, with `options` of DuckDB's."""
    files = ", ".join(literal(_exactly(path)) for path in paths)
    return f"read_parquet([{files}], {', '.join((*options, 'hive_partitioning = false'))})"


def _exactly(path: Path | ObjectPath) -> str:
    """A pattern that matches `path` and nothing else; DuckDB takes every name for a pattern."""
    # Of a bucket no pattern is ever looked for: `ObjectFiles.glob` gives back what it is given.
    return str(path) if isinstance(path, ObjectPath) else _PATTERN.sub(r"[\g<0>]", str(path))
