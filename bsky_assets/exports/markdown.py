"""Markdown in which no text can be anything but text."""

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"[\\`*_\[\]|#~!$]")
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_ADDRESS = (("://", ":\u2060//"), ("www.", "www\u2060."))
"""A word joiner, which is not seen, keeps an address from becoming a link."""


class Markdown(str):
    """Text that is Markdown already, made by us."""

    __slots__ = ()


def code(name: str) -> Markdown:
    """A name of ours, such as a column's, as code."""
    return Markdown(f"`{name}`")


def escaped(value: object) -> str:
    """`value` on one line, with nothing in it that Markdown or HTML would take for markup."""
    if isinstance(value, Markdown):
        return value
    text = "".join(char if char.isprintable() else " " for char in str(value))
    text = _MARKUP.sub(r"\\\g<0>", text)
    for character, replacement in (*_ENTITIES, *_ADDRESS):
        text = text.replace(character, replacement)
    return text


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table; every cell is escaped, and None is an empty cell."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for row in rows:
        cells = ("" if value is None else escaped(value) for value in row)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
