"""A version of what decides rows besides contracts: code, word lists and configuration.

It changes with what they do and say, and with nothing else: comments, docstrings and the layout of
the text are left out, in Python and in the SQL that it holds, and so is in which file a definition
stands. What does not belong here: which files decide the rows of an asset.
"""

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_OURS = __name__.partition(".")[0]
"""The package whose definitions may move."""


def source_version(paths: Iterable[Path]) -> str:
    """Twelve hex digits that change with what the files at `paths` do and say together.

    Of Python that is the set of all top-level statements in them, whichever file they stand in and
    in whichever order. An import from another package is one of them; of an import from this
    package only the other name that it may give is. So a definition that moves from one file to
    another, a Python file that is renamed, and the imports that follow them, make no other version.

    What it does not see for that: that a name means another definition of this package than
    before, because it is imported from elsewhere, or because the code that has it moved to a file
    with its own definition of that name.

    TOML is compared by its values, anything else by its bytes, and both by the last of their names.
    """
    statements: set[bytes] = set()
    digest = hashlib.sha256()
    for path in paths:
        if path.suffix == ".py":
            statements |= _statements(path.read_bytes())
        else:
            digest.update(path.name.encode())
            digest.update(_digest_of_values(path.suffix, path.read_bytes()))
    for statement in sorted(statements):
        digest.update(statement)
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1_024)  # a file decides the rows of many assets, and parsing it takes a while
def _statements(content: bytes) -> frozenset[bytes]:
    module = _WithoutPlace().visit(ast.parse(content))
    return frozenset(hashlib.sha256(ast.dump(one).encode()).digest() for one in module.body)


@lru_cache(maxsize=1_024)
def _digest_of_values(suffix: str, content: bytes) -> bytes:
    if suffix == ".toml":
        values = tomllib.loads(content.decode())
        content = json.dumps(values, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).digest()


_VALUE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for what an f-string puts in."""


class _WithoutPlace(ast.NodeTransformer):
    """Drops where things stand, in files and on lines: of imports from this package all but other
    names, docstrings, which are texts that stand for themselves, and the layout of SQL."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.AST]:
        ours = bool(node.level) or _is_ours(node.module)
        kept = (one for one in node.names if not ours or one.asname not in (None, one.name))
        return [ast.ImportFrom(None if ours else node.module, [one], 0) for one in kept]

    def visit_Import(self, node: ast.Import) -> list[ast.AST]:
        return [ast.Import([one]) for one in node.names if not _is_ours(one.name)]

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_types and not node.orelse else self.generic_visit(node)

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


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == _OURS


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
