"""Removing the words of deleted posts from all that labelling keeps of them.

That is the ledger of what models were asked, vectors, and what a model wrote with posts in sight.
What does not belong here: partitions and segments (`consolidation`).
"""

import duckdb
import pyarrow as pa

from bsky_assets.labelling.asking.questions import text_hash
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import forget
from bsky_assets.labelling.optimising.written import forget_written
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake


def forget_words(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, removed: pa.Table
) -> int:
    """Remove the words of the posts of `removed`, which has uri and text; see `forget`.

    Returns how many questions were changed.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    ledger = ledger_of(settings)
    ledger.seal_abandoned()
    forget_written(settings.optimising_dir, {*map(text_hash, removed["text"].to_pylist())})
    return forget(con, lake, ledger, removed)
