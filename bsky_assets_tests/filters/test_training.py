"""Models that a user trains, and filters measured on labelled files."""

import csv
import hashlib
import json
import random
import re
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from bsky_assets.commands.filters import app
from bsky_assets.filters.chain import filter_day
from bsky_assets.filters.config import trained_model_path
from bsky_assets.filters.judge import make_filter, sources
from bsky_assets.filters.measuring import training
from bsky_assets.filters.measuring.canaries import CanariesFailed, require
from bsky_assets.filters.measuring.evaluation import evaluate
from bsky_assets.filters.measuring.labelled import UnreadableData, read_labelled
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.measuring.training import CannotTrain, train, trainable
from bsky_assets.filters.posts import from_texts
from bsky_assets_tests.filters.posts import DAY, lake_with, post, settings_in

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
    filter_with_model = make_filter(trainable("spam"), sources(settings))
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
def test_trained_on_a_published_set(tmp_path: Path, real_data: Path) -> None:
    """Cross-validated F1 at the even threshold."""
    source = real_data / "labelled/sms-spam/sms.tsv"
    report = train("spam", read_labelled(source, "spam"), settings_in(tmp_path))
    assert (report.measured["at 0.5"].f1 or 0) >= 0.93


@pytest.mark.real_data
def test_a_published_set_of_another_kind_of_hate_is_refused(
    tmp_path: Path, real_data: Path
) -> None:
    path = tmp_path / "tweets.csv"
    source = real_data / "labelled/davidson/labeled_data.csv"
    path.write_text("".join(source.read_text().splitlines(keepends=True)[:5000]))
    data = read_labelled(path, "hate_speech", stop=["hate", "offensive"])
    with pytest.raises(CannotTrain, match="canaries of hate_speech flip"):
        train("hate_speech", data, settings_in(tmp_path))


def test_a_model_that_flips_a_canary_is_not_put_in_force(tmp_path: Path) -> None:
    """Trained on texts of another kind, it stops what the filter must let through."""
    settings = settings_in(tmp_path)
    passing = trainable("spam").canaries.passed
    rows = [[f"{text} {n}", "spam"] for n in range(30) for text in passing]
    rows += [[f"{text} {n}", "ham"] for n in range(30) for text in BAD]
    data = write(tmp_path / "other.csv", [["text", "label"], *rows])
    with pytest.raises(CannotTrain, match=r"with the model that other\.csv makes.*spam.*model:"):
        train("spam", read_labelled(data, "spam"), settings)
    assert not trained_model_path("spam", settings).exists()


def test_what_a_model_would_change_on_a_stored_day_is_told(tmp_path: Path, data: Path) -> None:
    settings = settings_in(tmp_path)
    posts = [post(f"zorp the flim \x1b[31mtoday {n}", number=n) for n in range(12)]
    posts += [post("see you at lunch, the train is late again", number=99)]
    lake = lake_with(tmp_path, posts)
    with duckdb.connect() as con:
        filter_day(con, lake, DAY, settings)
    with pytest.raises(CannotTrain, match=r"of the 13 posts.*over 1%.*--insist") as refused:
        train("spam", read_labelled(data, "spam"), settings)
    assert "zorp the flim" in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert not trained_model_path("spam", settings).exists()
    report = train("spam", read_labelled(data, "spam"), settings, insist=True)
    assert report.effect is not None
    assert report.effect.day == DAY
    assert len(report.effect.examples) == min(report.effect.stopped, 10)
    assert 0 < report.effect.stopped <= report.effect.passed <= 13
    stored = json.loads((trained_model_path("spam", settings).parent / "report.json").read_text())
    assert stored["effect"] == report.effect.figures()
    assert "zorp" not in json.dumps(stored["effect"])


def test_a_model_that_stops_nearly_nothing_of_a_stored_day_needs_no_insisting(
    tmp_path: Path, data: Path
) -> None:
    settings = settings_in(tmp_path)
    lake = lake_with(tmp_path, [post("see you at lunch, the train is late again", number=1)])
    with duckdb.connect() as con:
        filter_day(con, lake, DAY, settings)
    report = train("spam", read_labelled(data, "spam"), settings)
    assert report.effect is not None
    assert (report.effect.passed, report.effect.stopped) == (1, 0)
    assert trained_model_path("spam", settings).exists()


def test_a_day_that_a_model_spoils_is_refused_with_the_name_of_the_model(
    tmp_path: Path, data: Path
) -> None:
    settings = settings_in(tmp_path)
    train("spam", read_labelled(data, "spam"), settings)
    rows = [["text", "label"]]
    rows += [
        [f"{text} {n}", "spam"] for n in range(30) for text in trainable("spam").canaries.passed
    ]
    rows += [[f"{text} {n}", "ham"] for n in range(30) for text in BAD]
    other = read_labelled(write(tmp_path / "other.csv", rows), "spam")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "check_texts", lambda *_: [])
        train("spam", other, settings)
    with pytest.raises(CanariesFailed, match=r"filter spam: .*stopped by model:spam"):
        require(settings)


def test_figures_on_the_training_data_say_so(tmp_path: Path, data: Path) -> None:
    settings = settings_in(tmp_path)
    labelled = read_labelled(data, "spam")
    assert not evaluate("spam", labelled, settings).trained_on
    train("spam", labelled, settings)
    assert evaluate("spam", labelled, settings).trained_on
    other = write(tmp_path / "other.csv", [["text", "label"], ["a b", "spam"], ["c d", "ham"]])
    assert not evaluate("spam", read_labelled(other, "spam"), settings).trained_on


def test_offensive_is_no_hate_speech_unless_said_so(tmp_path: Path) -> None:
    rows = [["text", "label"], ["a", "hate"], ["b", "offensive"], ["c", "neither"]]
    path = write(tmp_path / "set.csv", rows)
    assert read_labelled(path, "hate_speech").stop == [True, False, False]
    named = read_labelled(path, "hate_speech", stop=["hate", "offensive"])
    assert named.stop == [True, True, False]


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0c", "\x0b", "\x1c", "\n"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_rows_end_where_the_standard_says(tmp_path: Path, inside: str, ending: str) -> None:
    path = tmp_path / "file.csv"
    text = f'text,label{ending}"one{inside}two",spam{ending}three,ham{ending}'
    path.write_bytes(text.encode())
    labelled = read_labelled(path, "spam")
    assert labelled.texts == [f"one{inside}two", "three"]
    assert labelled.left_out == {}


def test_rows_that_cannot_be_taken_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"text,label\none,spam\ntwo,ham\n\n,ham\nthree,ham,more\nfo\xffur,ham\n")
    labelled = read_labelled(path, "spam")
    assert labelled.texts == ["one", "two"]
    assert labelled.left_out == {"blank": 2, "ragged": 1, "undecodable": 1}
    shown = CliRunner().invoke(app, ["eval", "spam", "--data", str(path)]).output
    assert "rows left out: 2 blank, 1 ragged, 1 undecodable" in " ".join(shown.split())


@pytest.mark.parametrize("command", ["eval", "train"])
@pytest.mark.parametrize(
    ("name", "why"), [("bot", "bot (judges accounts|takes no)"), ("foo", "foo (is no|takes no)")]
)
def test_a_filter_that_cannot_be_asked_is_named_before_its_data(
    tmp_path: Path, command: str, name: str, why: str
) -> None:
    data = write(tmp_path / "file.csv", [["x", "z"], ["one", "blue"], ["two", "red"]])
    told = CliRunner().invoke(app, [command, name, "--data", str(data)])
    assert told.exit_code != 0
    assert re.match(why, str(told.exception))
