"""The partitions that the UI shows: from which day on, and what is done about days before."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey, CodeReferencesMetadataValue, LocalFileCodeReference

from bsky_assets.commands.running import DayFailed, materialize_day
from bsky_assets.contracts import FilteredPost, RawFirehosePost
from bsky_assets.definitions import build_defs, current_defs
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import FIRST_DAY, today
from bsky_assets_tests.support.places import ROOT
from testbed.rows import firehose_post, table

STORED = date(2026, 3, 8)


def partitions(settings: Settings) -> list[str]:
    graph = build_defs(settings).resolve_asset_graph()
    found = {
        tuple(graph.get(key).partitions_def.get_partition_keys())  # type: ignore[union-attr]
        for key in graph.get_all_asset_keys()
    }
    (same,) = found
    return list(same)


@pytest.fixture
def stored(settings: Settings) -> Settings:
    """Settings whose data directory has posts of one day."""
    posts = table(RawFirehosePost, [firehose_post("did:plc:ann", "3k1", seq=1)])
    Lake.of(settings).write(RawFirehosePost, STORED, posts)
    return settings


def test_partitions_begin_with_the_first_day_that_is_stored(stored: Settings) -> None:
    keys = partitions(stored)
    assert keys[0] == str(STORED)
    assert keys[-1] == str(today(stored.timezone))


def test_after_the_first_success_all_that_is_shown_is_filled(settings: Settings) -> None:
    day = today(settings.timezone)
    Lake.of(settings).write(FilteredPost, day, table(FilteredPost, []))
    assert partitions(settings) == [str(day)]


@pytest.mark.parametrize("first", [date(2026, 1, 1), date(2026, 6, 1)])
def test_the_first_day_is_a_setting(
    stored: Settings, monkeypatch: pytest.MonkeyPatch, first: date
) -> None:
    monkeypatch.setenv("BSKY_FIRST_DAY", str(first))
    get_settings.cache_clear()
    assert partitions(get_settings())[0] == str(first)


def test_with_nothing_stored_every_day_can_be_chosen(settings: Settings) -> None:
    assert partitions(settings)[0] == str(FIRST_DAY)


def test_a_day_before_the_first_is_materialised_when_it_is_asked_for(stored: Settings) -> None:
    before = STORED - timedelta(days=1)
    with open_instance(stored) as instance, pytest.raises(DayFailed, match="nothing was collected"):
        materialize_day(instance, before, "consolidated_posts")
    graph = current_defs(before).resolve_asset_graph()
    partitions_def = graph.get(AssetKey("consolidated_posts")).partitions_def
    assert partitions_def
    assert partitions_def.has_partition_key(str(before))


def test_every_asset_leads_to_the_function_that_makes_it(settings: Settings) -> None:
    graph = build_defs(settings).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        found = graph.get(key).metadata["dagster/code_references"]
        assert isinstance(found, CodeReferencesMetadataValue)
        (place,) = found.code_references
        assert isinstance(place, LocalFileCodeReference)
        path = Path(place.file_path)
        assert path.parent == ROOT / "bsky_assets" / "assets"
        lines = path.read_text().splitlines()[(place.line_number or 0) - 1 :]
        defined = next(line for line in lines if line.startswith(("def ", "    def ")))
        assert key.to_user_string() in defined or path.stem == "raw_records"
        assert not graph.get(key).owners
