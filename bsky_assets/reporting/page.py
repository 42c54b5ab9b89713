"""What a report says, before it has a look: sections of numbers, tables, pictures and notices.

What belongs here: the parts that a page is made of, typed. What does not: where their content
comes from, which is in `sections`, and how they look, which is in `rendering` and `templates`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from bsky_assets.storage.partition import Versions

_NARROW = 6
"""Columns that fit beside another section."""


@dataclass(frozen=True)
class Share:
    """A share of something, and its 95% interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Shift:
    """By how much a share would move, of 1, and its 95% interval; shown in percentage points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Seconds:
    """A span of time."""

    value: float


@dataclass(frozen=True)
class Code:
    """A name of the software's: an asset, a column, a version."""

    text: str


Value = int | Share | Shift | Seconds | Code | datetime | date | str | None
"""None is shown as a dash. Text may hold AT URIs of posts, which become links."""


@dataclass(frozen=True)
class Text:
    """A paragraph; its values other than text are set apart."""

    parts: tuple[Value, ...]
    is_lead: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Picture:
    """An SVG element that is made here, with what it shows in words."""

    svg: str
    caption: str
    kind: ClassVar[str] = "picture"


@dataclass(frozen=True)
class Fact:
    """One number and what it means, with what is usual for it."""

    name: str
    value: Value
    definition: str
    against: str = ""
    """How it compares with earlier days."""
    sparkline: str = ""
    """An SVG element."""


@dataclass(frozen=True)
class Facts:
    """Numbers side by side."""

    facts: tuple[Fact, ...]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Column:
    """A column of a table; the first is the heading of its row."""

    title: str
    definition: str = ""
    """What its numbers are, where the title alone does not say."""
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of values, a value for each column."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    kind: ClassVar[str] = "table"


Block = Text | Picture | Facts | Table


@dataclass(frozen=True)
class Notice:
    """Something that whoever uses the numbers must know, and what to do about it."""

    where: str
    """The asset that it is about."""
    what: str
    todo: str
    is_error: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own."""

    name: str
    """Its anchor; unique on the page."""
    title: str
    blocks: tuple[Block, ...]
    notices: tuple[Notice, ...] = ()
    """Shown before all sections, each once."""

    @property
    def is_wide(self) -> bool:
        """Whether it needs the whole width of the page."""
        tables = (block for block in self.blocks if isinstance(block, Table))
        return any(len(table.columns) > _NARROW for table in tables)


@dataclass(frozen=True)
class Page:
    """The report of a day."""

    day: date
    version: str
    made_from: Versions
    written_at: datetime
    timezone: ZoneInfo
    marks: tuple[Notice, ...]
    """What the whole day is: made up, not over, without labels."""
    answer: tuple[Section, ...]
    trust: tuple[Section, ...]
    details: tuple[Section, ...]
    notices: tuple[Notice, ...]
    checked: int
    """Checks that had something to look at."""
    earlier: date | None = None
    """The day before that has a report."""

    @property
    def parts(self) -> Iterator[tuple[str, str, tuple[Section, ...]]]:
        """Anchor, heading and sections of the parts after the answer."""
        yield "trust", "Can it be trusted?", self.trust
        yield "details", "Details", self.details
