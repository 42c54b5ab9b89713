"""What is estimated, and studied, from the labels of a codebook of one's own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.coding.room import Room, open_room, rooms
from bsky_assets.analysis.estimating import estimate
from bsky_assets.analysis.estimating.outcomes import outcomes_of
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.errors import UserError
from bsky_assets_tests.support.codebooks import (
    FEELINGS,
    HEAT,
    TOPIC,
    TOXIC,
    codebook,
    read_off,
)
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, record

POSTS = 240
OFF_TOPIC = 'only_where = {codebook = "toxic", answers = ["yes"]}'
BELOW = codebook("aim", "one_of", {"person": "Somebody.", "group": "Many."}, OFF_TOPIC)


def is_toxic(number: int) -> bool:
    return number % 4 == 0


def post(number: int) -> dict:
    """The model takes every tenth more for toxic; replies are the even ones."""
    seen = "yes" if is_toxic(number) or number % 10 == 1 else "no"
    said = record(
        f"post {number} toxic={seen} topic={('sport', 'food')[number % 2]}",
        reply_parent=None if number % 2 else "at://did:plc:a/b/c",
    )
    return filtered_post(number, "", record=said, author={"did": f"did:plc:author{number // 3}"})


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with served(FakeEndpoint(read_off).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        for text in (TOXIC, TOPIC, HEAT, FEELINGS, BELOW):
            lab.codebook(text)
        lab.filtered(map(post, range(POSTS)))
        yield lab


def row_named(lab: Lab, name: str) -> type[CodebookLabel]:
    (row,) = (
        row for row in lab.lake.rows if issubclass(row, CodebookLabel) and row.codebook.name == name
    )
    return row


def code(room: Room) -> None:
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            said = is_toxic(int(re.findall(r"3k(\d+)", item.uri or "")[0]))
            journal.add_all("ada", {number: "yes" if said else "no"})


def test_a_codebook_has_an_outcome_for_each_answer_that_a_formula_can_name(lab: Lab) -> None:
    assert outcomes_of(row_named(lab, "toxic")).answers == {"toxic": ("yes",)}
    assert [*outcomes_of(row_named(lab, "topic")).answers] == ["sport", "food", "other"]
    assert outcomes_of(row_named(lab, "heat")).answers["heat_5"] == ("5",)
    with pytest.raises(UserError, match="feelings: its answers are several_of, which people"):
        outcomes_of(row_named(lab, "feelings"))
    lab.codebook(codebook("words", "one_of", {"far left": "One.", "2nd-best": "Other."}))
    assert [*outcomes_of(row_named(lab, "words")).answers] == ["far_left", "words_2nd_best"]


def test_its_shares_and_differences_are_corrected_by_a_room_of_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    row = row_named(lab, "toxic")
    lab.label(row=row)
    with pytest.raises(UserError, match="not corrected: no labels by people"):
        estimate("toxic", [DAY], codebook="toxic", settings=lab.settings)
    room = room_of_draw(lab.settings, Draw([DAY], POSTS, ["label"], row=row), ["ada"])
    code(room)
    (share,) = estimate("toxic", [DAY], codebook="toxic", settings=lab.settings).coefficients
    assert share.corrected.value == pytest.approx(0.25)
    assert share.naive.value == pytest.approx(0.25 + 0.1)
    found = estimate("toxic ~ is_reply", [DAY], codebook="toxic", settings=lab.settings)
    assert found.coefficients[1].corrected.value == pytest.approx(0.5), "the even ones alone"
    assert found.coefficients[1].naive.value == pytest.approx(0.5 - 0.2)
    arguments = ("estimate", "toxic", "--codebook", "toxic", "--days", str(DAY))
    status, out, error = run(monkeypatch, capsys, *arguments)
    assert (status, "0.250" in out) == (0, True), error
    for wrong, told in (
        (("estimate", "political", "--codebook", "toxic"), "there are toxic"),
        (("estimate", "toxic"), "'toxic' cannot be estimated; there are political"),
        (("estimate", "toxic", "--codebook", "none"), "there is no codebook 'none'"),
    ):
        status, _, error = run(monkeypatch, capsys, *wrong, "--days", str(DAY))
        assert status == 1
        assert told in error


def test_of_a_sampled_day_all_posts_are_meant_that_it_asks_about(lab: Lab) -> None:
    lab.options["llm_sample"] = 120
    toxic, aim = row_named(lab, "toxic"), row_named(lab, "aim")
    lab.label(row=toxic)
    lab.label(row=aim)
    room = room_of_draw(lab.settings, Draw([DAY], 120, ["label"], row=toxic), ["ada"])
    code(room)
    found = estimate("toxic", [DAY], codebook="toxic", settings=lab.settings)
    assert (found.posts, found.labelled, found.coded) == (POSTS, 120, 120)
    (share,) = found.coefficients
    assert share.corrected.low < 0.25 < share.corrected.high
    below = room_of_draw(lab.settings, Draw([DAY], 120, [], row=aim), ["ada"])
    asked = len(below.items)
    with Journal(below.journal) as journal:
        journal.add_all("ada", {n: "person" if n <= 10 else "group" for n in below.items})
    found = estimate("person", [DAY], codebook="aim", settings=lab.settings)
    # Which posts that were not drawn the model takes for toxic nobody knows: their number is told
    # from those drawn, each of which stands for two.
    assert (found.posts, found.labelled, found.coded) == (2 * asked, asked, asked)
    assert found.posts == pytest.approx(POSTS * 0.35, abs=20)
    (share,) = found.coefficients
    assert share.corrected.value == pytest.approx(10 / asked)
    assert share.corrected.low < share.corrected.value < share.corrected.high
    assert share.naive.value == 0, "the model says group of all"


def test_a_study_of_it_is_declared_run_sealed_and_verified_where_the_codebook_is_not(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    monkeypatch.setenv("BSKY_LLM_MODELS", "fake")
    file, out = tmp_path / "toxic.toml", tmp_path / "sealed"

    def study(*arguments: object) -> tuple[int, str, str]:
        return run(monkeypatch, capsys, "study", *map(str, arguments))

    selections = []

    def labelled(_settings: object, _days: object, select: str, *, only_missing: bool) -> None:
        selections.append(select)
        lab.label(row=row_named(lab, "toxic"))

    monkeypatch.setattr("bsky_assets.commands.running.materialize_days", labelled)
    status, _, error = study("new", file, "--days", DAY, "--codebook", "toxic")
    assert status == 0, error
    text = file.read_text().replace("size = 200", "size = 100").replace("has_link", "is_reply")
    file.write_text(text)
    assert '"toxic" = ["yes"]' in text
    assert study("check", file)[0] == 0
    status, told, error = study("run", file)
    assert (status, "100 of 100 posts are not coded" in told) == (0, True), error
    assert selections == ["+labels_toxic"]
    (name,) = rooms(lab.settings)
    code(open_room(lab.settings, name))
    status, told, error = study("run", file)
    assert status == 0, error
    assert "declared" in told
    assert "exploratory" not in told
    assert study("seal", file, out)[0] == 0
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace('"toxic" = ["yes"]', '"toxic" = ["no"]'))
    assert "codebook.outcomes: others are stated than labels_toxic has" in study("check", wrong)[2]
    wrong.write_text(text.replace('share = "toxic"', 'share = "left"'))
    assert "estimates.0: 'left' cannot be estimated; there are toxic" in study("check", wrong)[2]
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "none"))
    assert "there is no codebook 'toxic'" in study("check", file)[2]
    status, told, error = study("verify", out)
    assert (status, told.strip()) == (0, f"{out}: all the same"), error
    rows = pq.read_table(out / "rows.parquet")
    values = rows["label"].to_pylist()
    values[7] = "no" if values[7] == "yes" else "yes"
    place = rows.column_names.index("label")
    pq.write_table(rows.set_column(place, "label", pa.array(values)), out / "rows.parquet")
    assert "row 8, column label has changed" in study("verify", out)[2]
