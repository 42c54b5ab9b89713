"""A version of what decides rows besides contracts: code, word lists and configuration.

It changes with what they do and say, and with nothing else: comments, docstrings and the layout of
the text are left out. What does not belong here: which files decide the rows of an asset.
"""

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path


def source_version(paths: Iterable[Path]) -> str:
    """Twelve hex digits that change with what the files at `paths` do; of their names, the last.

    Python is compared by its syntax tree, TOML by its values, anything else by its bytes.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(_meaning(path)).digest())
    return digest.hexdigest()[:12]


def _meaning(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".py":
        return ast.dump(_WithoutDocs().visit(ast.parse(content))).encode()
    if path.suffix == ".toml":
        values = tomllib.loads(content.decode())
        return json.dumps(values, sort_keys=True, default=str).encode()
    return content


class _WithoutDocs(ast.NodeTransformer):
    """Drops docstrings: texts that stand for themselves."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
