"""A collector that is killed again and again loses nothing, doubles nothing and invents no gap.

`make chaos` does the same 200 times.
"""

from pathlib import Path

import pytest

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.settings import Settings
from testbed import chaos

pytestmark = pytest.mark.scenario


def test_what_is_stored_after_many_kills_and_faults_is_what_was_sent(tmp_path: Path) -> None:
    findings = chaos.run(rounds=4, seed=5, folder=tmp_path)
    assert findings.wrong == []
    assert findings.counts["SIGKILL"] > 0
    assert findings.counts["gaps"] > 0
    assert findings.counts["posts"] > 50


def test_the_comparison_notices_what_is_wrong(tmp_path: Path) -> None:
    """A segment less is posts lost and a hole that nobody told of."""

    def remove_one(settings: Settings) -> None:
        segments = firehose_segments(settings)
        found = [segment for day in segments.days() for segment in segments.of_day(day)]
        found[len(found) // 2].path.unlink()

    findings = chaos.run(rounds=0, seed=6, folder=tmp_path, spoil=remove_one)
    assert any("lost" in wrong for wrong in findings.wrong)
    assert any("not told of" in wrong for wrong in findings.wrong)
