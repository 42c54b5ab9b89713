"""What a file of tests has changed for those after it, in the process that they share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = ("bsky_assets", "bsky_sandbox")
_PLAIN = (bool, int, float, str, tuple, frozenset)


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """See that constants and the working directory are afterwards what they were before.

    Which files share a process, and in what order, is the scheduler's: a constant that one test
    leaves changed makes another fail on some other day.
    """
    before = _state()
    yield
    after = _state()
    changed = sorted(name for name in before if after.get(name) != before[name])
    assert not changed, f"changed by tests, and not put back: {', '.join(changed)}"


def _state() -> dict[str, Any]:
    state: dict[str, Any] = {"working directory": Path.cwd()}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS:
            state |= dict(_constants(name, module))
    return state


def _constants(place: str, scope: ModuleType | type) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(scope).items()):
        if isinstance(value, type) and value.__module__ == place:
            yield from _constants(f"{place}.{name}", value)
        elif type(value) in _PLAIN and not name.startswith("__") and _is_meant(scope, name):
            yield f"{place}.{name}", value


def _is_meant(scope: ModuleType | type, name: str) -> bool:
    """A module's constant, or an attribute of a class; other globals are caches."""
    return isinstance(scope, type) or name.isupper()
