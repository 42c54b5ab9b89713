"""What is put into SQL is quoted by one module, and comes out as it went in."""

import ast
import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bsky_assets
from bsky_assets.storage.sql import identifier, literal

SQL = re.compile(
    r"\b(SELECT|FROM|JOIN|WHERE|CASE|QUALIFY|HAVING|coalesce|CAST|AS|DATE|TIMESTAMPTZ)\b|\w+\("
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def quoted_by_hand(source: str) -> list[int]:
    """Lines of f-strings of SQL in which a value stands between quotes that somebody typed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        words = "".join(str(p.value) for p in node.values if isinstance(p, ast.Constant))
        before = node.values[:-1]
        found += [
            value.lineno
            for piece, value in zip(before, node.values[1:], strict=True)
            if SQL.search(words)
            and isinstance(piece, ast.Constant)
            and isinstance(value, ast.FormattedValue)
            and re.search(r"""(^|[^\w'"])['"]$""", str(piece.value))
        ]
    return found


def test_no_other_module_quotes_values_in_sql() -> None:
    folder = Path(bsky_assets.__file__).parent
    texts = {path.relative_to(folder): path.read_text() for path in folder.rglob("*.py")}
    assert {
        str(path): lines for path, text in texts.items() if (lines := quoted_by_hand(text))
    } == {}


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("f\"SELECT * FROM x WHERE y = '{name}'\"", True),
        ("f\"CAST(timezone('{zone}', at) AS DATE)\"", True),
        ("f\"DATE '{day}'\"", True),
        ('f"SELECT * FROM x WHERE y = {literal(name)}"', False),
        ("f\"there is no '{name}'\"", False),
    ],
)
def test_a_value_between_quotes_is_found(line: str, is_found: bool) -> None:
    assert bool(quoted_by_hand(line)) is is_found


@settings(deadline=None)
@given(TEXT)
def test_any_text_is_a_text_and_any_name_a_name(text: str) -> None:
    with duckdb.connect() as con:
        assert con.sql(f"SELECT {literal(text)}").fetchall() == [(text,)]
        assert con.sql(f"SELECT 1 AS {identifier(text)}").columns == [text]
