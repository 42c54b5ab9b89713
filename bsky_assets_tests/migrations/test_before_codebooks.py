"""A data directory of the code from before there were codebooks, opened by the code of today.

`before_codebooks.zip` is a day of the sandbox that the last commit without codebooks materialised:
its lake and its ledger of answers.
"""

import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.contracts import LlmLabel
from bsky_assets.labelling.day import label_day, prompt_of
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets_tests.support.labelling import PATIENT
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer

DAY = date(2026, 11, 27)
STORED = Path(__file__).with_name("before_codebooks.zip")


@pytest.fixture
def endpoint() -> LlmServer:
    """It knows none of the posts, so that an answer of it would be another."""
    return LlmServer(())


@pytest.fixture
def settings(tmp_path: Path, endpoint: LlmServer) -> Iterator[Settings]:
    with zipfile.ZipFile(STORED) as stored:
        stored.extractall(tmp_path)
    with served(endpoint.app()) as url:
        yield Settings(
            _env_file=None, data_dir=tmp_path, llm_base_url=f"{url}/v1", llm_models=("sandbox",)
        )


def rows(con: duckdb.DuckDBPyConnection, source: str, columns: str) -> list[tuple[Any, ...]]:
    return con.sql(f"SELECT {columns} FROM {source} ORDER BY ALL").fetchall()


def labels(settings: Settings) -> Partition:
    found = Lake.of(settings).current(LlmLabel, DAY)
    assert found
    return found


def test_every_table_is_shown_as_it_was_stored(settings: Settings) -> None:
    files = {path.parts[-3]: path for path in settings.lake_dir.rglob("*.parquet")}
    assert len(files) == 9
    publish(settings)
    with duckdb.connect(str(settings.catalogue_path), read_only=True) as con:
        for name, path in files.items():
            stored = f"read_parquet('{path}', hive_partitioning = false)"
            described = con.sql(f"DESCRIBE FROM {stored}").fetchall()
            columns = ", ".join(f'"{column}"' for column, *_ in described)
            assert rows(con, name, columns) == rows(con, stored, columns), name


def test_labelling_it_again_asks_nothing_and_gives_the_same_labels(
    settings: Settings, endpoint: LlmServer
) -> None:
    before = labels(settings)
    with duckdb.connect() as con:
        described = con.sql(f"DESCRIBE FROM read_parquet('{before.path}')").fetchall()
        columns = ", ".join(f'"{name}"' for name, *_ in described if name != "sync_day")
        stored = rows(con, f"read_parquet('{before.path}')", columns)
        after = label_day(con, Lake.of(settings), DAY, settings, policy=PATIENT)
        assert after.path != before.path
        assert rows(con, f"read_parquet('{after.path}')", columns) == stored
    assert len(stored) == 23
    assert sum(endpoint.statuses.values()) == 0
    assert prompt_of(settings).version == before.details["prompt_version"]
    told = after.details
    for name in ("prompt_version", "schema_version", "labelled", "failed", "shares"):
        assert told[name] == before.details[name], name


def test_another_prompt_asks_about_all_of_it_again(settings: Settings, endpoint: LlmServer) -> None:
    other = settings.model_copy(update={"llm_reason": True, "llm_company_sample": 0})
    with duckdb.connect() as con:
        label_day(con, Lake.of(settings), DAY, other, policy=PATIENT)
    assert sum(endpoint.statuses.values()) > 0
