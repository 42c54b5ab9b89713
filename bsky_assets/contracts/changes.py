"""What became of columns when a contract changed: how older partitions are read today.

A column that was added, and may be null, needs no word here: older partitions read as null. One
that was renamed, moved into a struct, split or retyped is `Made` from what it was; one that went
without a successor is `Dropped`. A change that is not stated stops readers with a message that
names asset, day and column; nothing is lost in silence.

    CHANGES = (
        Made(("raw_feed_posts",), "record.text", "{record.body}"),
        Made(("raw_feed_posts",), "like_count", "CAST({likes} AS BIGINT)"),
        Dropped(("raw_feed_posts",), "record.mood"),
    )

Entries stay for as long as partitions of their time may exist; an old column may be made from an
older one in turn.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Made:
    """A column that is made from others where an older partition lacks it, or has another type."""

    assets: tuple[str, ...]
    column: str
    """Its name, dotted into structs and into the structs of lists."""
    sql: str
    """DuckDB SQL in which `{name}` stands for the older partition's column of that name. In the
    structs of a list only columns of the same struct can be named, in full.
    """


@dataclass(frozen=True)
class Dropped:
    """A column that contracts no longer have, struct columns with all that is in them."""

    assets: tuple[str, ...]
    column: str


CHANGES: tuple[Made | Dropped, ...] = ()
"""Every change so far, in any order."""
