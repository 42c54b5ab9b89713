"""Showing what is stored to whoever queries the catalogue."""

import logging

from bsky_assets.contracts import LEDGER
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.settings import Settings
from bsky_assets.storage import catalogue
from bsky_assets.storage.lake import Lake

_log = logging.getLogger(__name__)


def publish(settings: Settings) -> None:
    """Make the catalogue show what the lake and the ledger of answers hold now.

    Answers that a killed run left in a journal are in it too. What is damaged is left out, and told
    in the log.

    Raises:
        UnusableDataDirectory: the data directory cannot be written to.
    """
    ledger = ledger_of(settings)
    ledger.seal_abandoned()
    others = {row: ledger.files(row) for row in LEDGER}
    for problem in catalogue.rebuild(Lake.of(settings), settings.catalogue_path, others):
        _log.warning("left out of the catalogue: %s", problem)
