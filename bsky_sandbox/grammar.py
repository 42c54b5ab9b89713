"""Texts put together from templates: `{name}` in one is a choice among the slot of that name.

The templates are in `texts/*.toml`. What does not belong here: what a post is about.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

_SLOT = re.compile(r"\{(\w+)\}")
_NUMBER = "n"
_LARGEST_NUMBER = 48


@cache
def texts(name: str) -> dict[str, Any]:
    source = files("bsky_sandbox").joinpath("texts", f"{name}.toml")
    return tomllib.loads(source.read_text("utf-8"))


class Grammar:
    """Fills templates. A slot's values may have slots themselves; `{n}` is a small number."""

    def __init__(self, slots: Mapping[str, Sequence[str]]) -> None:
        self._slots = {name: tuple(map(self._parts, values)) for name, values in slots.items()}
        self._parsed: dict[str, tuple[str, ...]] = {}

    def fill(self, rng: Random, template: str) -> str:
        """`template` with a choice in each of its slots."""
        parts = self._parsed.get(template)
        if parts is None:
            parts = self._parsed[template] = self._parts(template)
        return self._fill(rng, parts)

    def _fill(self, rng: Random, parts: tuple[str, ...]) -> str:
        if len(parts) == 1:
            return parts[0]
        filled = list(parts)
        for place in range(1, len(parts), 2):
            name = parts[place]
            if name == _NUMBER:
                filled[place] = str(2 + int(rng.random() * (_LARGEST_NUMBER - 1)))
            else:
                values = self._slots[name]
                filled[place] = self._fill(rng, values[int(rng.random() * len(values))])
        return "".join(filled)

    @staticmethod
    def _parts(template: str) -> tuple[str, ...]:
        """Literal text and names of slots, in turn, beginning and ending with literal text."""
        return tuple(_SLOT.split(template))
