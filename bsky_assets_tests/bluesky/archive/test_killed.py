"""What is killed in the middle is gone on with; `python -m testbed.healing` does it 200 times."""

from pathlib import Path

import pytest

from bsky_assets.bluesky.archive.fetching import Budget, Spool
from bsky_assets.bluesky.archive.host import ArchiveHost, Unit
from bsky_assets_tests.bluesky.archive.serving import archive_of, world_of
from bsky_assets_tests.support.serving import served
from testbed import healing

pytestmark = pytest.mark.scenario


def test_a_file_that_was_whole_when_its_run_was_killed_is_not_fetched_again(
    tmp_path: Path,
) -> None:
    archive = archive_of(world_of(300))
    with served(archive.app()) as url, ArchiveHost(url) as host:
        segment = host.segments()[0]
        unit = Unit(segment.name, segment.checksum, None)
        spool = Spool(tmp_path, host, Budget(10**9))
        spool.fetch([unit])
        fetched = archive.served
        (whole,) = tmp_path.rglob("whole.jss")
        content = whole.read_bytes()
        whole.rename(whole.with_suffix(".part"))
        spool.fetch([unit])
        assert whole.read_bytes() == content
        assert archive.served == fetched


@pytest.mark.timeout(300)
def test_a_healing_that_is_killed_comes_to_the_same(tmp_path: Path) -> None:
    figures = healing.run(rounds=2, seed=5, folder=tmp_path)
    assert figures.is_right, figures
    assert figures.lost > 3
    assert figures.gaps - figures.not_healed > 3
