"""The next posts for people to code: where the model is in doubt, with chances that are known."""

from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.coding.next_items import room_of_next, spread
from bsky_assets.analysis.coding.room import Room, open_room
from bsky_assets.analysis.estimating import estimate
from bsky_assets.analysis.estimating.correcting import correct, folds_of
from bsky_assets.analysis.estimating.people import Coded, people_of, together
from bsky_assets.analysis.estimating.regression import LINEAR, fit_corrected
from bsky_assets.contracts import ScoredPost
from bsky_assets.errors import UserError
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.labelling.statistics.sampling import export, quotas
from bsky_assets_tests.analysis.coding.rooms import made
from bsky_assets_tests.support.command import in_this_process
from bsky_assets_tests.support.labelling import DAY, Lab, known_posts
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmFaults, LlmServer
from testbed.rows import filtered_post, table

POSTS = 3_000
FIRST, NEXT = 100, 200


class World:
    """Posts whose model errs in 1% where it is sure, and in 45% of the sixth where it is not."""

    def __init__(self, dice: np.random.Generator) -> None:
        self.truth = (dice.random(POSTS) < 0.4).astype(float)
        doubt = dice.random(POSTS) < 1 / 6
        errs = dice.random(POSTS) < np.where(doubt, 0.45, 0.01)
        self.label = np.where(errs, 1 - self.truth, self.truth)
        kinds = np.where(doubt, "doubt", "sure")
        names = [f"{says:.0f} {kind}" for says, kind in zip(self.label, kinds, strict=True)]
        self.strata = pd.Series(names)
        self.members = {
            name: np.flatnonzero(self.strata == name) for name in sorted({*self.strata})
        }
        self.sizes = {name: len(members) for name, members in self.members.items()}

    def coded(self, drawn: dict[str, int], dice: np.random.Generator) -> Coded:
        """What people say of so many posts of each stratum, by chance."""
        return {
            str(number): (str(int(self.truth[number])), count / self.sizes[name])
            for name, count in drawn.items()
            for number in dice.choice(self.members[name], count, replace=False)
        }

    def spreads(self, found: Coded) -> dict[str, float]:
        """What the coded posts show of each stratum."""
        known, wrong = Counter[str](), Counter[str]()
        for uri, (said, _) in found.items():
            known[self.strata[int(uri)]] += 1
            wrong[self.strata[int(uri)]] += int(said) != self.label[int(uri)]
        return {name: spread(wrong[name], known[name]) for name in self.sizes}

    def share(self, samples: list[Coded]) -> Estimate:
        """The share that is corrected by them together."""
        labels, chances = together(samples)
        assert sum(1 / chance for chance in chances.values()) == pytest.approx(POSTS)
        people, chance = np.full(POSTS, np.nan), np.full(POSTS, np.nan)
        for uri, said in labels.items():
            people[int(uri)], chance[int(uri)] = float(said), chances[uri]
        authors = pd.Series(np.arange(POSTS))
        corrected = correct(people, chance, self.strata, self.label, folds_of(authors))
        ones = np.ones((POSTS, 1))
        return fit_corrected(LINEAR, corrected, ones, authors.to_numpy()).estimate(0)


@pytest.mark.scenario
def test_what_is_coded_next_is_right_on_average_and_narrower_than_more_by_chance() -> None:
    """120 populations; 100 posts first, then 200 by what these showed, or of each stratum alike."""
    off: dict[str, list[float]] = {"next": [], "alike": []}
    width: dict[str, list[float]] = {"next": [], "alike": []}
    held = 0
    for seed in range(120):
        dice = np.random.default_rng(seed)
        world = World(dice)
        first = world.coded(quotas(world.sizes, FIRST), dice)
        for name, drawn in {
            "next": quotas(world.sizes, NEXT, world.spreads(first)),
            "alike": quotas(world.sizes, NEXT, dict.fromkeys(world.sizes, 1.0)),
        }.items():
            found = world.share([first, world.coded(drawn, dice)])
            off[name].append(found.value - world.truth.mean())
            width[name].append(found.high - found.low)
            held += name == "next" and found.low <= world.truth.mean() <= found.high
    for errors in off.values():
        assert np.mean(errors) == pytest.approx(0, abs=3 * np.std(errors) / np.sqrt(120))
    assert held >= 110
    assert np.mean(width["next"]) < 0.95 * np.mean(width["alike"])
    assert np.std(off["next"]) < np.std(off["alike"])


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """300 posts, of which the model has each fifth of those it takes for left wrong."""
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered(filtered_post(n, f"{'L' if n % 3 else 'N'} post {n}") for n in range(300))
        lab.label()
    return lab


def is_left(number: int) -> bool:
    return number % 3 != 0 and number % 5 != 1


def code(room: Room) -> None:
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            assert item.uri
            said = is_left(int(item.uri.rsplit("3k", 1)[1]))
            journal.add_all("ada", {number: "left" if said else "not_sociopolitical"})


def test_more_is_drawn_where_people_found_errors_and_counted_with_what_was_coded(lab: Lab) -> None:
    first = room_of_draw(lab.settings, Draw([DAY], 80, ["label"]), ["ada"])
    with pytest.raises(UserError, match=f"nothing of {first.name} is coded yet"):
        room_of_next(lab.settings, first.name, 60, ["ada"])
    code(first)
    second = room_of_next(lab.settings, first.name, 60, ["ada"])
    assert (second.after, second.days) == ((first.name,), first.days)
    assert open_room(lab.settings, second.name) == second
    given = Counter(item.stratum for item in second.items.values())
    before = Counter(item.stratum for item in first.items.values())
    assert given["left"] / 60 > before["left"] / 80 + 0.1, "the model errs there"
    assert given["none"] >= 5, "and may elsewhere"
    assert people_of(lab.settings, [DAY]).sample == first.name, "until something more is coded"
    code(second)
    people = people_of(lab.settings, [DAY])
    assert people.sample == f"{first.name}, {second.name}"
    assert sum(1 / chance for chance in people.chances.values()) == pytest.approx(300)
    third = room_of_next(lab.settings, second.name, 300, ["ada"])
    code(third)
    assert third.after == (first.name, second.name)
    (share,) = estimate("political", [DAY], settings=lab.settings).coefficients
    truth = sum(map(is_left, range(300))) / 300
    assert share.corrected.low < truth < share.corrected.high
    assert share.naive.value == pytest.approx(200 / 300)
    (alone,) = estimate("political", [DAY], sample=first.name, settings=lab.settings).coefficients
    assert alone.corrected.high - alone.corrected.low > share.corrected.high - share.corrected.low
    made(lab.folder.parent, 3, "ada")
    with pytest.raises(UserError, match="how texts was drawn is not known here"):
        room_of_next(lab.settings, "texts", 60, ["ada"])


@pytest.mark.parametrize("more", [(), ("--sample", "9", "--codebook", "toxic")])
def test_what_a_following_sample_takes_over_cannot_be_told_otherwise(
    more: tuple[str, ...],
) -> None:
    done = in_this_process("labels", "room", "--after", "sample-1", *more)
    assert (done.returncode, "goes with --sample" in done.stderr) == (2, True), done.stderr


def test_a_sample_can_be_stratified_by_a_students_scores_and_by_how_sure_the_model_is(
    tmp_path: Path,
) -> None:
    posts = known_posts(60)
    with served(LlmServer(posts, faults=LlmFaults(logprobs=True)).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1")
        lab.texts(posts)
        lab.label()
    rows = {row["uri"]: row for row in lab.rows()}
    scores = [{"uri": uri, "political": n / 60, "student": "a"} for n, uri in enumerate(rows)]
    lab.lake.write(ScoredPost, DAY, table(ScoredPost, scores))
    out = tmp_path / "gold.csv"
    with duckdb.connect() as con:
        by = ["score", "confidence"]
        design = export(con, lab.lake, ledger_of(lab.settings), [DAY], 60, by, out)
    score = {one["uri"]: one["political"] for one in scores}
    assert len(design.sizes) > 3
    for uri, stratum in design.posts.items():
        group, _, sure = stratum.removeprefix("score ").partition(" · ")
        low, high = map(float, group.split(" to "))
        assert low <= score[uri] <= high
        ends = {"below 0.6": (0, 0.6), "0.6 to 0.9": (0.6, 0.9), "0.9 and more": (0.9, 1)}[sure]
        assert ends[0] <= rows[uri]["confidence"] <= ends[1]
