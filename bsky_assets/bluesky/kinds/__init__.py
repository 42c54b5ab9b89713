"""The kinds of records that are taken from the network, a file each, found by their files.

What belongs here: of each kind its `KIND`: the collection, how a record is read, what becomes of
one that is deleted. What does not: the rest, which its contract says (`contracts.arrival`). Records
come in, columns go out; what is asked of hosts, segments, compaction, counts and the raw asset
follow from the two.
"""

from importlib import import_module
from pkgutil import iter_modules

from bsky_assets.bluesky.rows import Kind, TableKind

KINDS: dict[str, Kind] = {
    kind.collection: kind
    for module in iter_modules(__path__)
    for kind in (import_module(f"{__name__}.{module.name}").KIND,)
}
"""By collection."""

WANTED_PATHS = tuple(f"{collection}/" for collection in KINDS)
"""How the paths of records begin that are wanted."""

__all__ = ["KINDS", "WANTED_PATHS", "Kind", "TableKind"]
