"""The version of the daily report: of the columns that it reads, and of the code that writes it."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bsky_assets.contracts.lineage import report_reads_version
from bsky_assets.contracts.versions import source_version

PACKAGE = Path(__file__).parent.parent
_OF_OTHER_PAGES = ("index.py", "index.html", "summary.py")
_BESIDES = (
    "analysis/coding/room.py",
    "analysis/estimating/correcting.py",
    "analysis/estimating/estimates.py",
    "analysis/estimating/people.py",
    "analysis/estimating/population.py",
    "analysis/estimating/regression.py",
    "analysis/estimating/shares.py",
    "labelling/statistics/corrected.py",
    "labelling/statistics/metrics.py",
    "labelling/statistics/weighing.py",
    "orchestration/unfinished.py",
    "storage/completeness.py",
    "storage/coverage.py",
)
"""What else words and figures of the report come from; the checks are the third."""


@cache
def report_version() -> str:
    """Twelve hex digits that change when a day's report would be another."""
    parts = f"{report_reads_version()} {source_version(_sources())}"
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def _sources() -> Iterator[Path]:
    for pattern in ("reporting/**/*.py", "reporting/templates/*", "checks/*.py"):
        found = sorted(PACKAGE.glob(pattern))
        yield from (path for path in found if path.name not in _OF_OTHER_PAGES)
    yield from (PACKAGE / name for name in _BESIDES)
