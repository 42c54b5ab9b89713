"""Models that a user trains, and filters measured on labelled files."""

import csv
import hashlib
import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bsky_assets.commands.filters import app
from bsky_assets.filters.config import trained_model_path
from bsky_assets.filters.judge import CHAIN, make_filter, sources
from bsky_assets.filters.measuring.evaluation import evaluate
from bsky_assets.filters.measuring.labelled import UnreadableData, read_labelled
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.measuring.training import CannotTrain, train
from bsky_assets.filters.posts import from_texts
from bsky_assets_tests.filters_fixtures import settings_in

GOOD = ["see you at lunch", "the train is late", "my garden needs rain", "lovely photo of the sea"]
BAD = ["zorp the flim now", "flim your zorp today", "buy the zorp flim", "zorp zorp for flim"]


def write(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = random.Random(2)
    rows = [
        [f"{rng.choice(texts)} {rng.choice(texts)} {number}", value]
        for number in range(150)
        for texts, value in ((GOOD, "ham"), (BAD, "spam"))
    ]
    return write(tmp_path / "data.csv", [["message", "label"], *rows])


def test_a_trained_model_is_measured_stored_and_used(tmp_path: Path, data: Path) -> None:
    settings = settings_in(tmp_path)
    report = train("spam", read_labelled(data, "spam"), settings)
    assert all((one.f1 or 0) > 0.9 for one in report.measured.values())
    stored = json.loads((trained_model_path("spam", settings).parent / "report.json").read_text())
    assert stored["data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert stored["labels"] == {"ham": 150, "spam": 150}
    (link,) = (link for link in CHAIN if link.name == "spam")
    filter_with_model = make_filter(link, sources(settings))
    found = filter_with_model.judge(
        from_texts(["zorp flim zorp now", GOOD[0], "free airdrop https://bit.ly/x1"])
    )
    model, passed, rule = found.reasons.to_pylist()
    assert model is not None
    assert model.startswith("model:spam p=")
    assert (passed, rule) == (None, "rule:scam_crypto")


def test_too_few_texts_or_another_filter(tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", [["text", "label"], ["a b", "spam"], ["c d", "ham"]])
    with pytest.raises(CannotTrain, match="20 of each"):
        train("spam", read_labelled(few, "spam"), settings_in(tmp_path))
    with pytest.raises(CannotTrain, match="takes no trained model"):
        train("english", read_labelled(few, "spam"), settings_in(tmp_path))


@pytest.mark.parametrize(
    ("rows", "delimiter", "name"),
    [
        ([["ham", "hello you"], ["spam", "win now"]], "\t", "spam"),
        (
            [["text", "is_toxic"], ["hello you", "Not Toxic"], ["win now", "Toxic"]],
            ",",
            "hate_speech",
        ),
        ([["id", "tweet", "class"], ["1", "hello you", "0"], ["2", "win now", "1"]], ",", "spam"),
        (
            [["test_case", "label_gold"], ["hello you", "non-hateful"], ["win now", "hateful"]],
            ";",
            "hate_speech",
        ),
        ([["comment", "category"], ["hello you", "sfw"], ["win now", "porn"]], ",", "nsfw"),
    ],
)  # fmt: skip
def test_columns_are_found(
    tmp_path: Path, rows: list[list[str]], delimiter: str, name: str
) -> None:
    labelled = read_labelled(write(tmp_path / "file", rows, delimiter), name)
    assert list(zip(labelled.texts, labelled.stop, strict=True)) == [
        ("hello you", False),
        ("win now", True),
    ]


def test_labels_that_say_nothing_have_to_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [["text", "label"], ["one", "blue"], ["two", "red"]])
    with pytest.raises(UnreadableData, match="--stop"):
        read_labelled(path, "spam")
    assert read_labelled(path, "spam", stop=["red"]).stop == [False, True]
    with pytest.raises(UnreadableData, match="no label 'green'"):
        read_labelled(path, "spam", stop=["green"])
    with pytest.raises(UnreadableData, match="no column 'x'"):
        read_labelled(path, "spam", text="x", stop=["red"])


def test_confusion_adds_up() -> None:
    one = Confusion.count([True, True, False, False, False], [True, False, True, False, False])
    assert (one.true_positives, one.false_negatives, one.false_positives, one.true_negatives) == (
        1, 1, 1, 2,
    )  # fmt: skip
    assert (one.precision, one.recall, one.f1, one.accuracy) == (0.5, 0.5, 0.5, 0.6)
    assert Confusion.count([False], [False]).precision is None


def test_groups_and_mistakes(tmp_path: Path) -> None:
    rows = [
        ["functionality", "test_case", "label_gold", "target_ident"],
        ["threat", "Muslims should be shot", "hateful", "Muslims"],
        ["plain", "Muslims live in my street", "non-hateful", "Muslims"],
        ["missed", "frobnicate the quux", "hateful", "women"],
    ]
    labelled = read_labelled(write(tmp_path / "cases.csv", rows), "hate_speech")
    evaluation = evaluate("hate_speech", labelled, settings_in(tmp_path))
    assert set(evaluation.groups) == {"label", "functionality", "target_ident"}
    assert evaluation.groups["functionality"]["threat"].recall == 1
    assert evaluation.groups["functionality"]["missed"].recall == 0
    assert [mistake.text for mistake in evaluation.mistakes] == ["frobnicate the quux"]


def test_from_the_command_line(data: Path) -> None:
    run = CliRunner()
    assert "every canary" in run.invoke(app, ["check"]).output
    before = json.loads(run.invoke(app, ["eval", "spam", "--data", str(data), "--json"]).output)
    trained = run.invoke(app, ["train", "spam", "--data", str(data)])
    assert trained.exit_code == 0, trained.output
    after = json.loads(run.invoke(app, ["eval", "spam", "--data", str(data), "--json"]).output)
    assert before["overall"]["recall"] == 0
    assert after["overall"]["recall"] > 0.9
    assert set(after["groups"]["label"]) == {"ham", "spam"}
    assert "\x1b" not in run.invoke(app, ["eval", "spam", "--data", str(data)]).output


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "file", "rows", "least"),
    [
        ("spam", "sms-spam/sms.tsv", None, 0.93),
        ("hate_speech", "davidson/labeled_data.csv", 5000, 0.90),
    ],
)
def test_trained_on_published_sets(
    tmp_path: Path, real_data: Path, name: str, file: str, rows: int | None, least: float
) -> None:
    """Cross-validated F1 at the even threshold; the whole of the larger set is in the docs."""
    source = real_data / "labelled" / file
    lines = source.read_text().splitlines(keepends=True)[:rows]
    path = tmp_path / source.name
    path.write_text("".join(lines))
    report = train(name, read_labelled(path, name), settings_in(tmp_path))
    assert (report.measured["at 0.5"].f1 or 0) >= least
