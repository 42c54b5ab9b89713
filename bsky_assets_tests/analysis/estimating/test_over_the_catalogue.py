"""Estimates over stored days, from people's labels in rooms, by the command and in a notebook."""

import json
import re
from pathlib import Path

import duckdb
import pytest

from bsky_assets.analysis.coding.journal import DECISION, Journal
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.coding.room import Room
from bsky_assets.analysis.estimating import estimate
from bsky_assets.analysis.estimating.people import people_of
from bsky_assets.contracts import FilteredPost
from bsky_assets.errors import UserError
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets_tests.analysis.coding.rooms import made
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, record, table

POSTS = 300
EMBED = {
    "kind": "app.bsky.embed.external",
    "link_uri": "https://news.example",
    "link_title": None,
    "link_description": None,
    "media_kind": None,
    "media": None,
    "alt_texts": [],
    "quoted_uri": None,
    "quoted_cid": None,
}


def is_political(number: int) -> bool:
    """In truth: every third post without a link, two of three with one."""
    return number % 3 == 0 or (number % 2 == 0 and number % 3 == 1)


def text_of(number: int) -> str:
    """What the model sees an L in: the truth, but with a link it takes every tenth more for it."""
    seen = is_political(number) or (number % 2 == 0 and number % 10 == 2)
    return f"{'L' if seen else 'N'} post {number}"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    posts = []
    for n in range(POSTS):
        said = record(text_of(n), embed=EMBED if n % 2 == 0 else None)
        posts.append(filtered_post(n, "", record=said, author={"did": f"did:plc:author{n // 3}"}))
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.lake.write(FilteredPost, DAY, table(FilteredPost, posts))
        lab.label()
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    return lab


def draw(lab: Lab, size: int = POSTS) -> Room:
    return room_of_draw(lab.settings, Draw([DAY], size, ["label"]), ["ada", "ben"])


def code(room: Room, coder: str = "ada", *, but: frozenset[int] = frozenset()) -> None:
    """Answer as it is in truth; items in `but` the other way."""
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            assert item.uri
            post = int(re.findall(r"3k(\d+)", item.uri)[0])
            said = is_political(post) != (number in but)
            journal.add_all(coder, {number: "left" if said else "not_sociopolitical"})


def test_a_share_a_difference_and_a_regression_are_corrected_to_what_people_say(lab: Lab) -> None:
    code(draw(lab))
    true = {
        linked: sum(map(is_political, range(1 - linked, POSTS, 2))) / (POSTS / 2)
        for linked in (True, False)
    }
    (share,) = estimate("political", [DAY], settings=lab.settings).coefficients
    assert share.corrected.value == pytest.approx((true[True] + true[False]) / 2)
    assert share.naive.value == pytest.approx(share.corrected.value + 20 / POSTS, abs=0.04)
    assert share.naive.value > share.corrected.value
    found = estimate("political ~ has_link", f"{DAY}", settings=lab.settings)
    assert (found.posts, found.authors, found.coded) == (POSTS, POSTS // 3, POSTS)
    difference = found.coefficients[1]
    assert difference.corrected.value == pytest.approx(true[True] - true[False])
    assert difference.naive.value > difference.corrected.value
    assert list(found.frame()["name"]) == ["Intercept", "has_link[T.True]"]


def test_the_command_shows_corrected_first_and_naive_beside(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code(draw(lab, 120))
    arguments = ("estimate", "left", "--difference-by", "has_link", "--days", str(DAY))
    status, out, error = run(monkeypatch, capsys, *arguments)
    assert status == 0, error
    assert "300 posts by 100 authors, 120 of them coded by people" in out
    assert out.index("corrected") < out.index("naive")
    status, out, _ = run(monkeypatch, capsys, *arguments, "--model", "logistic", "--json")
    found = json.loads(out)
    assert found["formula"] == "left ~ C(has_link)"
    low, high = (found["coefficients"][1]["corrected"][end] for end in ("low", "high"))
    assert low < 1.386 < high, "log odds of 2/3 to 1/3"
    status, _, error = run(monkeypatch, capsys, "estimate", "political", "--trend", "--days", "x")
    assert (status, error.partition(";")[0]) == (2, "error: 'x' is not a day")
    _, _, error = run(monkeypatch, capsys, "estimate", "left ~ day", "--trend", "--days", f"{DAY}")
    assert error == ("error: --difference-by and --trend make the formula: give the outcome alone")


def test_the_report_shows_corrected_shares_first_or_says_that_there_are_none(lab: Lab) -> None:
    def text() -> str:
        with duckdb.connect() as con:
            report = report_of(con, lab.lake, lab.settings, DAY)
            page = write_page(report, lab.lake, lab.settings).read_text()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))

    draw(lab, 30)
    assert "These shares are not corrected: no labels by people" in text()
    assert "Shares corrected by what people coded" not in text()
    code(draw(lab, 200))
    page = text()
    assert "People coded 200 of these posts" in page
    corrected, by_model = (
        page.index("Shares corrected by what people coded"),
        page.index("Posts by label, as the model has it"),
    )
    assert corrected < by_model
    political = re.search(r"political +([\d.]+) *%", page[corrected:by_model])
    assert political
    found = estimate("political", [DAY], settings=lab.settings).coefficients[0]
    assert float(political[1]) == pytest.approx(100 * found.corrected.value, abs=0.6)


def test_without_labels_by_people_there_is_no_number(lab: Lab) -> None:
    with pytest.raises(UserError, match="not corrected: no labels by people of a sample of 2026"):
        estimate("political", [DAY], settings=lab.settings)
    draw(lab, 30)
    with pytest.raises(UserError, match="not corrected: no labels by people"):
        estimate("political", [DAY], settings=lab.settings)


def test_a_sample_of_other_days_or_of_no_known_design_corrects_nothing(lab: Lab) -> None:
    room = draw(lab, 30)
    code(room)
    other = DAY.replace(day=9)
    with pytest.raises(UserError, match=f"{room.name} was not drawn from 2026-03-09: people"):
        people_of(lab.settings, [DAY, other], room.name)
    made(lab.folder.parent, 3, "ada")
    with pytest.raises(UserError, match="texts was not drawn from 2026-03-08"):
        people_of(lab.settings, [DAY], "texts")


def test_a_stratum_without_a_coded_post_is_named(lab: Lab) -> None:
    room = draw(lab, 30)
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            if item.stratum == "left":
                journal.add_all("ada", {number: "left"})
    with pytest.raises(UserError, match=r"no post of the stratum 'none' of sample-.* been coded"):
        people_of(lab.settings, [DAY])


def test_disputes_are_decided_before_anything_is_estimated(lab: Lab) -> None:
    room = draw(lab, 30)
    code(room)
    code(room, "ben", but=frozenset({3, 4}))
    with pytest.raises(UserError, match=f"disagree on 2 posts; .* room {room.name} --adjudicate"):
        people_of(lab.settings, [DAY])
    with Journal(room.journal) as journal:
        for item in (3, 4):
            journal.add("cho", item, DECISION, "left")
    people = people_of(lab.settings, [DAY])
    assert [people.labels[room.items[item].uri or ""] for item in (3, 4)] == ["left", "left"]


def test_of_several_samples_one_is_to_be_named(lab: Lab) -> None:
    first, second = draw(lab, 30), draw(lab, 40)
    code(first)
    assert people_of(lab.settings, [DAY]).sample == first.name
    code(second)
    with pytest.raises(UserError, match="say which with --sample: sample-"):
        people_of(lab.settings, [DAY])
    assert len(people_of(lab.settings, [DAY], second.name).labels) == 40


def test_chances_are_of_what_was_coded_and_not_of_what_was_drawn(lab: Lab) -> None:
    room = room_of_draw(lab.settings, Draw([DAY], 60, []), ["ada"])
    with Journal(room.journal) as journal:
        journal.add_all("ada", {n: "left" if n % 2 else "not_sociopolitical" for n in range(1, 21)})
    people = people_of(lab.settings, [DAY])
    assert {*people.chances.values()} == {20 / POSTS}
    assert people.drawn_from == POSTS
