"""Two ways of labelling the same posts: counts, test and intervals against ones worked by hand."""

import csv
import json
from collections.abc import Sequence
from math import comb, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bsky_assets.labelling.statistics.paired import difference, effect, posts_needed, shifts
from bsky_assets_tests.support.command import run

PEOPLE = [*["left"] * 40, *["right"] * 40, *["none"] * 48]


def arm(wrong: set[int]) -> list[str]:
    """Labels as people's, but for some posts."""
    return ["unclear" if number in wrong else label for number, label in enumerate(PEOPLE)]


WITHOUT = arm({*range(23), *range(60, 76)})
"""39 wrong of 128: 23 that WITH has right, and 16 that both have wrong."""
WITH = arm({*range(60, 76), *range(100, 104)})
"""20 wrong: the 16, and 4 that WITHOUT has right."""


def write(path: Path, labels: Sequence[str], column: str = "political_ideology") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", column])
        writer.writerows(
            (f"at://did:plc:a/app.bsky.feed.post/{n}", one) for n, one in labels_of(labels)
        )
    return path


def labels_of(labels: Sequence[str]) -> list[tuple[int, str]]:
    """In another order in each file, since no file is read by place."""
    numbered = list(enumerate(labels))
    np.random.default_rng(len(labels[0])).shuffle(numbered)
    return numbered


def test_counts_test_and_intervals_are_those_worked_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        "--with", str(write(tmp_path / "a.csv", WITH, "predicted_ideology")),
        "--without", str(write(tmp_path / "b.csv", WITHOUT, "label")),
        "--gold", str(write(tmp_path / "g.csv", PEOPLE)),
    ]  # fmt: skip
    status, out, _ = run(monkeypatch, capsys, "labels", "effect", *files, "--json")
    assert status == 0
    (told,) = json.loads(out)
    found = told["effect"]
    assert (found["posts"], found["only_with"], found["only_without"]) == (128, 23, 4)
    # 2 (1 + 27 + 351 + 2,925 + 17,550) / 2^27: half of the ways in which 27 coins fall so unevenly.
    assert found["p"] == pytest.approx(2 * 20_854 / 2**27)
    assert found["p"] == pytest.approx(binomtest(4, 27).pvalue)
    assert told["corrected_p"] == found["p"]
    # (24 - 5) / 130 ± 1.96 √((24/130 + 5/130 - (19/130)²) / 130)
    assert found["gain"]["value"] == pytest.approx(19 / 128)
    assert found["gain"]["low"] == pytest.approx(0.068949, abs=2e-6)
    assert found["gain"]["high"] == pytest.approx(0.223359, abs=2e-6)
    for way, right in (("accuracy_without", 89), ("accuracy_with", 108)):
        wilson = binomtest(right, 128).proportion_ci(method="wilson")
        assert found[way]["value"] == pytest.approx(right / 128)
        assert (found[way]["low"], found[way]["high"]) == pytest.approx((wilson.low, wilson.high))
    moved = {one["label"]: one for one in told["shifts"]}
    # 23 posts became left, none ceased to be; 4 of none became unclear.
    assert moved["left"]["shift"]["value"] == pytest.approx(23 / 128)
    margin = 1.959964 * sqrt((24 / 130 + 1 / 130 - (23 / 130) ** 2) / 130)
    assert moved["left"]["shift"]["low"] == pytest.approx(23 / 130 - margin, abs=1e-6)
    assert moved["none"]["shift"]["value"] == pytest.approx(-4 / 128)
    assert moved["right"]["shift"]["value"] == 0
    status, out, _ = run(monkeypatch, capsys, "labels", "effect", *files)
    assert status == 0
    assert "right only with: 23, only without: 4; McNemar's exact p = 0.0003" in out


def test_two_things_that_are_compared_are_corrected_for_after_holm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def both(name: str, ideologies: Sequence[str], political: Sequence[bool]) -> str:
        lines = [f"{n},{one},{political[n]}" for n, one in enumerate(ideologies)]
        head = "text,political_ideology,is_sociopolitical"
        (tmp_path / name).write_text("\n".join([head, *(f"post {line}" for line in lines)]))
        return str(tmp_path / name)

    yes = [True] * 128
    some = [number >= 6 for number in range(128)]  # six wrong, where people and WITH say yes
    status, out, _ = run(
        monkeypatch, capsys, "labels", "effect", "--json",
        "--with", both("a", WITH, yes), "--without", both("b", WITHOUT, some),
        "--gold", both("g", PEOPLE, yes),
    )  # fmt: skip
    assert status == 0
    found = {one["name"]: one for one in json.loads(out)}
    assert found["is_sociopolitical"]["effect"]["p"] == pytest.approx(2 / 2**6)
    assert found["is_sociopolitical"]["corrected_p"] == pytest.approx(2 / 2**6)
    ideology = found["political_ideology"]
    assert ideology["corrected_p"] == pytest.approx(2 * ideology["effect"]["p"])


def test_where_one_file_has_no_uris_posts_are_paired_by_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rows in {
        "with": ["text,label", "one,left", "two,right", "three,left"],
        "without": ["uri,text,label", "at://b,two,right", "at://a,one,none", "at://d,four,left"],
        "gold": ["uri,text,label", "at://a,one,left", "at://b,two,right", "at://c,three,left"],
    }.items():
        (tmp_path / name).write_text("\n".join(rows))
    files = [part for name in ("with", "without", "gold") for part in (f"--{name}", name)]
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(monkeypatch, capsys, "labels", "effect", *files, "--json")
    assert status == 0
    (told,) = json.loads(out)
    found = told["effect"]
    assert (found["posts"], found["only_with"], found["only_without"]) == (2, 1, 0)
    assert told["unpaired"] == 1, "three has no label without"


BAD = {
    "uri,label\n": "has no rows below a header",
    "uri,colour\nat://a,left\n": "call it is_sociopolitical, political_ideology or label",
    "label\nleft\n": "does not say which posts its labels are of",
    "uri,label\nat://a,left\nat://a,right\n": "has a post twice: 'at://a'; keep one row",
    "uri,label\nat://b,left\n": "no post has a label in each of",
    "uri,predicted_label,model_label\nat://a,left,right\n": "more than one column for label",
}


@pytest.mark.parametrize("text", BAD)
def test_a_file_that_cannot_be_compared_is_told_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("uri,label\nat://a,left\n")
    bad.write_text(text)
    arguments = ["--with", str(bad), "--without", str(good), "--gold", str(good)]
    status, out, error = run(monkeypatch, capsys, "labels", "effect", *arguments)
    assert (status, out) == (1, "")
    assert BAD[text] in error


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_the_test_is_the_sign_test_of_the_posts_that_differ(pairs: list[tuple[bool, bool]]) -> None:
    without, with_it = [a for a, _ in pairs], [b for _, b in pairs]
    found = effect(without, with_it)
    differ = found.only_with + found.only_without
    fewer = min(found.only_with, found.only_without)
    by_hand = min(1.0, 2 * sum(comb(differ, k) for k in range(fewer + 1)) / 2**differ)
    assert found.p == pytest.approx(by_hand)
    assert found.gain.low <= found.gain.value <= found.gain.high
    other = effect(with_it, without)
    assert (other.gain.low, other.gain.high) == pytest.approx((-found.gain.high, -found.gain.low))
    assert sum(one.shift.value for one in shifts([*map(str, without)], [*map(str, with_it)])) == (
        pytest.approx(0)
    )


def test_the_share_of_each_label_is_told_without_and_with() -> None:
    moved = {one.label: one for one in shifts(["a", "a", "b", "c"], ["a", "b", "b", "c"])}
    shares = {label: (one.share_without, one.share_with) for label, one in moved.items()}
    assert shares == {"a": (0.5, 0.25), "b": (0.25, 0.5), "c": (0.25, 0.25)}
    assert {label: one.shift.value for label, one in moved.items()} == {
        "a": -0.25,
        "b": 0.25,
        "c": 0,
    }


def test_as_many_answers_are_compared_as_there_are_of_each() -> None:
    with pytest.raises(ValueError, match="2 answers without and 1 with"):
        effect([True, True], [True])


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_the_interval_of_a_gain_holds_the_truth_as_often_as_it_says(gain: float) -> None:
    dice = np.random.default_rng(2)
    gained, lost, _ = dice.multinomial(150, [0.1 + gain, 0.1, 0.8 - gain], size=1000).T
    found = [difference(int(b), int(c), 150) for b, c in zip(gained, lost, strict=True)]
    assert 0.935 <= np.mean([one.low <= gain <= one.high for one in found]) <= 0.975


def test_with_the_posts_that_are_said_to_be_needed_a_gain_is_seen_in_four_of_five_cases() -> None:
    dice = np.random.default_rng(3)
    for gain, differing in ((0.05, 0.15), (0.1, 0.3)):
        posts = posts_needed(gain, differing)
        gained, lost = (differing + gain) / 2, (differing - gain) / 2
        seen = [
            difference(int(b), int(c), posts).low > 0
            for b, c, _ in dice.multinomial(posts, [gained, lost, 1 - differing], size=1000)
        ]
        assert 0.75 <= np.mean(seen) <= 0.86


def test_there_is_nothing_to_compare_where_there_is_no_post() -> None:
    with pytest.raises(ValueError):
        effect([], [])
    with pytest.raises(ValueError):
        effect([True], [True, False])
