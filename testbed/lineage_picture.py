"""The lineage of all columns in one picture, drawn from the contracts.

`python -m testbed.lineage_picture` prints it; `docs/images/columns.svg` is what it
prints. Each box is an asset, each line in it a column; structs are shown as a whole. A full line
leads from a column to one that it goes into, a dashed one to an asset whose rows it decides.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import cycle

from bsky_assets.contracts import Row, columns
from bsky_assets.contracts.lineage import ROWS, reads, upstream

WIDTH, GAP, LINE, HEAD, MARGIN = 210, 150, 17, 24, 20
COLOURS = ("#3b6fb6", "#2a9d8f", "#c0504d", "#8064a2", "#e0a030", "#607080", "#a05080", "#508050")
DASHED = ' stroke-dasharray="4 3"'


@dataclass(frozen=True)
class _Box:
    row: type[Row]
    left: int
    top: int
    names: tuple[str, ...]

    @property
    def height(self) -> int:
        return HEAD + LINE * len(self.names) + 8

    def middle(self, name: str) -> int:
        """How far down the middle of a column's line is; of the heading's for the empty name."""
        place = HEAD + LINE * self.names.index(name) + LINE // 2 if name else HEAD // 2
        return self.top + place


def lineage_svg() -> str:
    boxes = _boxes()
    width = max(box.left for box in boxes.values()) + WIDTH + MARGIN
    height = max(box.top + box.height for box in boxes.values()) + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    colours = dict(zip(boxes, cycle(COLOURS), strict=False))
    for box in boxes.values():
        lines += _edges(box, boxes, colours)
    for asset, box in boxes.items():
        lines += _drawn(box, colours[asset])
    return "\n".join([*lines, "</svg>", ""])


def _boxes() -> dict[str, _Box]:
    """A place for each asset: to the right of all that it reads."""
    depth: dict[str, int] = {}
    filled: dict[int, int] = {}
    boxes: dict[str, _Box] = {}
    for row in ROWS:
        depth[row.asset] = max((depth[name] + 1 for name in upstream(reads(row))), default=0)
        names = tuple(column.name for column in columns(row) if "." not in column.name)
        level = depth[row.asset]
        box = _Box(row, MARGIN + level * (WIDTH + GAP), filled.get(level, MARGIN), names)
        filled[level] = box.top + box.height + MARGIN
        boxes[row.asset] = box
    return boxes


def _drawn(box: _Box, colour: str) -> Iterator[str]:
    yield (
        f'<rect x="{box.left}" y="{box.top}" width="{WIDTH}" height="{box.height}" rx="4" '
        f'fill="#fafafa" stroke="{colour}"/>'
    )
    yield _text(
        box.left + 8, box.middle("") + 5, box.row.asset, f'font-weight="bold" fill="{colour}"'
    )
    for name in box.names:
        yield _text(box.left + 8, box.middle(name) + 4, name, 'fill="#222222"')


def _text(x: int, y: int, text: str, look: str) -> str:
    return f'<text x="{x}" y="{y}" {look}>{escape(text)}</text>'


def _edges(box: _Box, boxes: dict[str, _Box], colours: dict[str, str]) -> Iterator[str]:
    found = [(source, "", True) for source in box.row.rows_from]
    found += [
        (source, column.name.partition(".")[0], False)
        for column in columns(box.row)
        if not column.nested
        for source in column.sources
    ]
    tops = ((_top(source), name, decides) for source, name, decides in found)
    for (asset, source), name, decides in dict.fromkeys(tops):
        start = boxes[asset]
        x1, y1, x2, y2 = start.left + WIDTH, start.middle(source), box.left, box.middle(name)
        bend = (x2 - x1) // 2
        yield (
            f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" '
            f'stroke="{colours[asset]}" stroke-opacity="0.45"'
            f"{DASHED if decides else ''}/>"
        )


def _top(source: str) -> tuple[str, str]:
    asset, column = source.split(".")[:2]
    return asset, column


if __name__ == "__main__":
    sys.stdout.write(lineage_svg())
