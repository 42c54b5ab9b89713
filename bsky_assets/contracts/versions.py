"""A version of what decides rows besides contracts: code, word lists and configuration.

It changes with what they do and say, and with nothing else: comments, docstrings and the layout of
the text are left out, in Python and in the SQL that it holds. What does not belong here: which
files decide the rows of an asset.
"""

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


def source_version(paths: Iterable[Path]) -> str:
    """Twelve hex digits that change with what the files at `paths` do; of their names, the last.

    Python is compared by its syntax tree, TOML by its values, anything else by its bytes.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(_digest_of_meaning(path.suffix, path.read_bytes()))
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1_024)  # a file decides the rows of many assets, and parsing it takes a while
def _digest_of_meaning(suffix: str, content: bytes) -> bytes:
    return hashlib.sha256(_meaning(suffix, content)).digest()


def _meaning(suffix: str, content: bytes) -> bytes:
    if suffix == ".py":
        return ast.dump(_WithoutLayout().visit(ast.parse(content))).encode()
    if suffix == ".toml":
        values = tomllib.loads(content.decode())
        return json.dumps(values, sort_keys=True, default=str).encode()
    return content


_VALUE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for what an f-string puts in."""


class _WithoutLayout(ast.NodeTransformer):
    """Drops docstrings, which are texts that stand for themselves, and the layout of SQL."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(_sql_meaning(node.value)) if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        # As a whole: a literal of SQL may begin in one piece and end in another.
        pieces = (one.value if isinstance(one, ast.Constant) else _VALUE for one in node.values)
        text = ast.Constant(_sql_meaning("".join(map(str, pieces))))
        values = (one for one in node.values if not isinstance(one, ast.Constant))
        return ast.JoinedStr([text, *map(self._formatted, values)])

    def _formatted(self, value: ast.expr) -> ast.expr:
        visited = self.generic_visit(value)
        assert isinstance(visited, ast.expr)
        return visited


_IS_SQL = re.compile(r"\b(SELECT|FROM|JOIN|WHERE|CASE|QUALIFY|(PARTITION|ORDER|GROUP) BY)\b")
_SQL_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<left>--[^\n]*|/\*.*?\*/|\s+)""", re.DOTALL
)
_BESIDE_PUNCTUATION = re.compile(r"(?<=[(),]) | (?=[(),])")


def _sql_meaning(text: str) -> str:
    """SQL without comments, and with as little space as it needs; any other text as it is."""
    if not _IS_SQL.search(text):
        return text
    kept: list[str] = []

    def taken(found: re.Match[str]) -> str:
        if found["kept"] is None:
            return " "
        kept.append(found["kept"])
        return _VALUE

    plain = re.sub(" +", " ", _SQL_TOKEN.sub(taken, text)).strip()
    return json.dumps([_BESIDE_PUNCTUATION.sub("", plain), kept])
