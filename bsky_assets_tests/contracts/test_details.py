"""What partitions say of themselves is typed: what was told before is read, and nothing is lost."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import bsky_assets
from bsky_assets.contracts import FilteredPost
from bsky_assets.contracts.details import (
    AuditDetails,
    ConsolidationDetails,
    ContextDetails,
    ContextEffectDetails,
    Details,
    EmbeddingDetails,
    FeedDetails,
    FilterDetails,
    LabelDetails,
    NewsDetails,
    ShareDetails,
    StudentDetails,
    SurvivalDetails,
    ViewsDetails,
    details_version,
)
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.support.labelling import DAY
from testbed.rows import table

SAMPLES = Path(__file__).with_name("details")
"""For each model, by version, what a partition said under it."""
MODELS: tuple[type[Details], ...] = (
    AuditDetails,
    ConsolidationDetails,
    ContextDetails,
    ContextEffectDetails,
    Details,
    EmbeddingDetails,
    FeedDetails,
    FilterDetails,
    LabelDetails,
    NewsDetails,
    ShareDetails,
    StreamDetails,
    StudentDetails,
    SurvivalDetails,
    ViewsDetails,
)


def samples(model: type[Details]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = json.loads((SAMPLES / f"{model.__name__}.json").read_text())
    return told


def test_every_model_of_details_has_samples() -> None:
    def all_of(model: type[Details]) -> Iterator[type[Details]]:
        yield model
        for other in model.__subclasses__():
            yield from all_of(other)

    assert {*all_of(Details)} == {*MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_todays_version_has_a_sample_that_says_all_that_can_be_said(model: type[Details]) -> None:
    told = samples(model)
    assert details_version(model) in told, "keep the samples of before, and add one of today"
    assert set(told[details_version(model)]) >= {*model.model_fields} - {*Details.model_fields}


@pytest.mark.parametrize("model", MODELS)
def test_what_was_told_under_any_version_is_read_and_told_again(model: type[Details]) -> None:
    told = samples(model)
    for version, sample in told.items():
        again = model.model_validate(sample).stored()
        assert lost(sample, again) == []
        assert version != details_version(model) or again == sample


def lost(told: Any, again: Any, at: str = "") -> list[str]:
    """Where what was told is not told again; fields that were added since are no matter."""
    if isinstance(told, dict) and isinstance(again, dict):
        return [where for key in told for where in lost(told[key], again.get(key), f"{at}.{key}")]
    if isinstance(told, list) and isinstance(again, list) and len(told) == len(again):
        pairs = enumerate(zip(told, again, strict=True))
        return [where for number, pair in pairs for where in lost(*pair, f"{at}.{number}")]
    return [] if told == again else [at]


def test_what_is_not_told_again_is_found() -> None:
    told = {"a": [{"b": 1, "c": None}], "d": 2}
    assert lost(told, {"a": [{"b": 1, "c": None, "new": 0}], "d": 2}) == []
    assert lost(told, {"a": [{"b": 2}]}) == [".a.0.b", ".d"]


def test_another_type_is_another_version_and_other_words_are_not() -> None:
    class Counted(Details):
        posts: int = 0

    class Reworded(Details):
        """Other words."""

        posts: int = 0

    class Shares(Details):
        posts: float = 0

    Reworded.__name__ = Shares.__name__ = Counted.__name__
    assert details_version(Reworded) == details_version(Counted) != details_version(Shares)


def test_what_cannot_be_read_says_where_it_is_and_under_which_versions(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = table(FilteredPost, [])
    lake.write(FilteredPost, DAY, rows, Details.model_validate({"funnel": [{"filter": "nsfw"}]}))
    partition = lake.current(FilteredPost, DAY)
    assert partition is not None
    assert partition.details_version == details_version(Details)
    with pytest.raises(Damaged, match=rf"filtered_posts on {DAY}.*funnel\.0\.reached: Field") as it:
        partition.told(FilterDetails)
    assert details_version(FilterDetails) in str(it.value)


def test_what_maintenance_notes_loses_nothing_that_the_maker_told(tmp_path: Path) -> None:
    lake, rows = Lake(tmp_path), table(FilteredPost, [])
    made = lake.write(FilteredPost, DAY, rows, FilterDetails(passed=4, filter_version="f"))
    noted = made.told(Details).model_copy(update={"erased_at": "2026-03-09"})
    with duckdb.connect() as con:
        sql = select_rows(FilteredPost, [made])
        lake.write_query(con, FilteredPost, DAY, sql, noted, kept_from=made)
    kept = lake.current(FilteredPost, DAY)
    assert kept is not None
    assert kept.details == {"passed": 4, "filter_version": "f", "erased_at": "2026-03-09"}
    assert kept.details_version == made.details_version == details_version(FilterDetails)


def read_by_key(source: str) -> list[int]:
    """Lines in which details are read by a key, and not through their model."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript | ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "details"
        and (isinstance(node, ast.Subscript) or node.attr in ("get", "items", "keys", "values"))
    ]


def test_nothing_reads_details_by_a_key() -> None:
    sources = [*Path(bsky_assets.__file__).parent.rglob("*.py")]
    found = {str(path): lines for path in sources if (lines := read_by_key(path.read_text()))}
    assert found == {}
    assert read_by_key("one.details['posts']\none.details.get('posts')") == [1, 2]
