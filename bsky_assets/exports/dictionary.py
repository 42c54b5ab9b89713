"""The data dictionary: every table and column, from the contracts that state them.

`python -m bsky_assets.exports.dictionary` prints it; `docs/data_dictionary.md` is what it prints.
"""

import sys
from collections.abc import Iterable

import pyarrow as pa

from bsky_assets.contracts import ALL, LEDGER, Row, columns, contract_version
from bsky_assets.contracts.news import NEWS, VIEWS
from bsky_assets.contracts.provenance import PROVENANCE
from bsky_assets.contracts.published import PUBLISHED
from bsky_assets.contracts.survival import SURVIVAL
from bsky_assets.exports.markdown import Markdown, code, escaped, table
from bsky_assets.storage.upcasts import sql_type

_HEADER = ("column", "type", "may be null", "what it is", "made from")


def dictionary(rows: Iterable[type[Row]], *, heading: str = "#") -> str:
    """The tables `rows` with their columns, as Markdown under a title of level `heading`."""
    lines = [
        f"{heading} Data dictionary",
        "",
        "Types are DuckDB's. The fields of a STRUCT are listed below it with a dot; those of "
        "STRUCT[], a list of structs, likewise. Instants are in UTC. Every table has a DATE "
        "column `sync_day` first: the day, in the sync timezone, on which the row was received.",
    ]
    for row in rows:
        lines += ["", *_table(row, f"{heading}#")]
    return "\n".join(lines) + "\n"


def _table(row: type[Row], heading: str) -> list[str]:
    described = (
        (
            code(column.name),
            code(_type(column.type)),
            "yes" if column.nullable else "no",
            column.description,
            Markdown(", ".join(code(source) for source in column.sources)),
        )
        for column in columns(row)
    )
    return [
        f"{heading} {code(row.asset)}",
        "",
        f"One row is: {escaped((row.__doc__ or '').strip().splitlines()[0])}",
        f"Unique within a day: {', '.join(code(name) for name in row.key)}. "
        f"Contract version {contract_version(row)}.",
        "",
        *table(_HEADER, described),
    ]


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    return "STRUCT" if pa.types.is_struct(kind) else sql_type(kind)


if __name__ == "__main__":
    sys.stdout.write(dictionary((*ALL, *NEWS, *VIEWS, *SURVIVAL, *LEDGER, *PROVENANCE, *PUBLISHED)))
