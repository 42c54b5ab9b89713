"""Which packages the source imports, by reading it."""

import ast
import sys
from functools import cache

from bsky_assets_tests.support.places import ROOT

OURS = {"bsky_assets", "bsky_sandbox", "bsky_assets_tests", "benchmarks", "testbed"}


@cache
def modules_of_others(*folders: str) -> dict[str, set[str]]:
    """Modules of others that the modules in `folders` import, and which of these do."""
    found: dict[str, set[str]] = {}
    for folder in folders or ("bsky_assets", "bsky_sandbox"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                if package_of(name) not in sys.stdlib_module_names | OURS:
                    found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def package_of(module: str) -> str:
    """The top-level package of a module."""
    return module.partition(".")[0]


def _imports(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
