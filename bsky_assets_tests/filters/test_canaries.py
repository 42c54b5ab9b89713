"""Nothing that a filter rests on can go without a canary that tells."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest

from bsky_assets.contracts.verdicts import declarations
from bsky_assets.filters import registry
from bsky_assets.filters.measuring import canaries
from bsky_assets.filters.measuring.canaries import check_texts
from bsky_assets.filters.words import lexicon
from bsky_assets_tests.filters.posts import built_in

NOTHING = "zzqqx"
"""No text has it."""


def lists(name: str, least: int = 0) -> list[str]:
    """The lists of words in a filter's file that have so many entries; rules, which have their own
    examples, aside."""
    return [
        place
        for place, size in registry.list_sizes(name)
        if place not in ("rules", "excuses", "signs", "weights") and size >= least
    ]


LISTS = {name: found for name in declarations() if (found := lists(name))}


def _holder(file: dict[str, Any], place: str) -> tuple[Any, str]:
    """Where in a file a list is: what holds it, and its name there."""
    *way, last = place.split(".")
    for part in way:
        file = file[part]
    if isinstance(file, list):
        return next(one for one in file if one["name"] == last), "terms"
    return file, last


def changed(monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, Any]:
    """The file of a filter, to be changed for as long as a test runs."""
    files = {**declarations(), name: copy.deepcopy(declarations()[name])}
    monkeypatch.setattr(lexicon, "declarations", lambda: files)
    monkeypatch.setattr(registry, "declarations", lambda: files)
    return files[name]


def flipped(name: str) -> list[canaries.CanaryFailure]:
    one = registry.declaration(name)
    assert one is not None
    return check_texts(one, built_in(name))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_gone_empty_flips_a_text(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file, unnoticed = changed(monkeypatch, name), []
    for place in LISTS[name]:
        holder, last = _holder(file, place)
        found = holder[last]
        holder[last] = NOTHING if isinstance(found, str) else [NOTHING]
        if not flipped(name):
            unnoticed.append(place)
        holder[last] = found
    assert unnoticed == []
    assert flipped(name) == [], "every list is as it was"


@pytest.mark.parametrize("kept", [slice(1, None), slice(None, -1), slice(None, None, 2)])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_lost_entries_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, kept: slice
) -> None:
    file, longer, told = changed(monkeypatch, name), lists(name, 2), {}
    one = registry.declaration(name)
    assert one is not None
    for place in longer:
        holder, last = _holder(file, place)
        found = holder[last]
        holder[last] = " ".join(found.split()[kept]) if isinstance(found, str) else found[kept]
        told[place] = [failure.canary for failure in canaries.check_lists(one)]
        holder[last] = found
    expected = {place: [f"list {place}"] for place in longer}
    assert told == expected, f"count what differs anew in [canaries.entries] of {name}.toml"


@pytest.mark.parametrize("key", ["rules", "excuses"])
def test_rules_gone_flip_their_own_texts_and_are_told(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    file = changed(monkeypatch, "hate_speech")
    rules, enough = file[key], file["evidence"]["enough"]
    file["evidence"]["enough"] = math.inf  # the weights may stop what a rule stops
    file[key] = [{**rule, "pattern": NOTHING} for rule in rules]
    kind = "stops" if key == "rules" else "passes"
    assert {rule[kind] for rule in rules} <= {failure.canary for failure in flipped("hate_speech")}
    file[key], file["evidence"]["enough"] = rules[1:], enough
    one = registry.declaration("hate_speech")
    assert one is not None
    assert [failure.canary for failure in canaries.check_lists(one)] == [f"list {key}"]


@pytest.mark.parametrize("kept", [slice(6, None), slice(None, -1), slice(None, None, 2)])
def test_weights_lost_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: slice
) -> None:
    lines = registry.weights_path("hate_speech").read_text().splitlines(keepends=True)
    monkeypatch.setattr(registry, "_MODELS", tmp_path)
    registry.weights_path("hate_speech").write_text("".join(lines[kept]))
    one = registry.declaration("hate_speech")
    assert one is not None
    assert [failure.canary for failure in canaries.check_lists(one)] == ["list weights"]


def test_weights_that_weigh_nothing_flip_a_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "_MODELS", tmp_path)
    registry.weights_path("hate_speech").write_text("0.0\tbias\n")
    assert flipped("hate_speech") != []


def test_a_family_of_signs_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    file = changed(monkeypatch, "spam")
    file["signs"] = file["signs"][1:]
    one = registry.declaration("spam")
    assert one is not None
    assert "list signs" in [failure.canary for failure in canaries.check_lists(one)]
