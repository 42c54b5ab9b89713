"""Where the repository is, and the captured data that are not in it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL_DATA = Path(os.environ.get("BSKY_REAL_DATA") or ROOT.parent / "shared" / "real_data")
needs_real_data = pytest.mark.skipif(
    not REAL_DATA.is_dir(), reason="no captured data: set BSKY_REAL_DATA to the folder of them"
)
