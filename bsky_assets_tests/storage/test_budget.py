"""How days share a machine: no more at a time than have room, and none beyond its share."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from bsky_assets.settings import Settings
from bsky_assets.storage.budget import (
    LEAST_DUCKDB_BYTES,
    PYTHON_BYTES,
    WORKER_BYTES,
    share,
    slot,
    slots,
)
from bsky_assets.storage.connection import connect
from bsky_assets_tests.support.places import ROOT

LEAST = PYTHON_BYTES + WORKER_BYTES + LEAST_DUCKDB_BYTES
HOLD = """
import sys
from bsky_assets.settings import get_settings
from bsky_assets.storage.budget import slot
with slot(get_settings(), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@given(megabytes=st.integers(750, 100_000), days=st.integers(1, 64), threads=st.integers(1, 256))
def test_all_days_together_keep_to_the_memory(megabytes: int, days: int, threads: int) -> None:
    settings = Settings(
        memory_limit=f"{megabytes}MB", concurrent_days=days, threads=threads, data_dir=Path("d")
    )
    mine = share(settings)
    used = PYTHON_BYTES + mine.workers * WORKER_BYTES + mine.duckdb_memory
    assert used <= mine.memory
    assert mine.memory * slots(settings) <= megabytes * 10**6
    assert slots(settings) == min(days, threads, megabytes * 10**6 // LEAST)
    assert 1 <= mine.threads <= threads
    assert 1 <= mine.workers <= threads


def test_a_connection_has_the_share_of_a_day(settings: Settings) -> None:
    shared = settings.model_copy(update={"memory_limit": "8GB", "threads": 4})
    with connect(shared) as con:
        ((threads, limit),) = con.sql(
            "SELECT current_setting('threads'), current_setting('memory_limit')"
        ).fetchall()
    assert threads == share(shared).threads == 4
    with duckdb.connect(config={"memory_limit": f"{share(shared).duckdb_memory}B"}) as con:
        assert limit == con.sql("SELECT current_setting('memory_limit')").fetchall()[0][0]


BARS = """
from bsky_assets.orchestration.resources import duckdb_resource
from bsky_assets.settings import get_settings
from bsky_assets.storage.connection import connect, in_memory
settings = get_settings()
for each in (connect(settings), in_memory(), duckdb_resource(settings).get_connection()):
    with each as con:
        print(con.sql("SELECT current_setting('enable_progress_bar')").fetchall()[0][0])
"""


def test_no_connection_draws_bars_where_duckdb_takes_a_process_for_interactive() -> None:
    done = subprocess.run([sys.executable, "-c", BARS], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n" * 3


def test_every_connection_of_the_package_is_one_without_bars() -> None:
    opened = re.compile(r"(?<!without_bars\()\bduckdb\.connect\(.*")
    found = {
        (path.name, call)
        for path in (ROOT / "bsky_assets").rglob("*.py")
        for call in opened.findall(re.sub(r"\(\s+", "(", path.read_text()))
        if path.name != "connection.py" and not call.endswith(".close()")
    }
    assert found == set()


def test_one_day_more_waits_and_goes_on_when_another_is_killed(settings: Settings) -> None:
    waiting, got = threading.Event(), threading.Event()

    def third() -> None:
        with slot(settings, lambda line: waiting.set()):
            got.set()

    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(slots(settings))
    ]
    try:
        for holder in holders:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
        thread = threading.Thread(target=third)
        thread.start()
        assert waiting.wait(100)
        assert not got.is_set()
        holders[0].kill()
        assert got.wait(100)
        thread.join()
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
