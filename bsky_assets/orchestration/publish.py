"""Showing what is stored to whoever queries the catalogue."""

from bsky_assets.contracts import LEDGER
from bsky_assets.labelling.day import ledger_of
from bsky_assets.settings import Settings
from bsky_assets.storage import catalogue
from bsky_assets.storage.lake import Lake


def publish(settings: Settings) -> None:
    """Make the catalogue show what the lake and the ledger of answers hold now.

    Answers that a killed run left in a journal are in it too.

    Raises:
        UnusableDataDirectory: the data directory cannot be written to.
    """
    ledger = ledger_of(settings)
    ledger.seal_abandoned()
    others = {row: ledger.files(row) for row in LEDGER}
    catalogue.rebuild(Lake.of(settings), settings.catalogue_path, others)
