"""Labels against people: scores against scikit-learn's, corrected shares against the truth."""

import csv
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, precision_score
from typer.testing import CliRunner, Result

from bsky_assets.commands.labels import app
from bsky_assets.contracts import ScoredPost
from bsky_assets.contracts.details import StudentDetails
from bsky_assets.errors import UserError
from bsky_assets.labelling.statistics.allocation import allocate
from bsky_assets.labelling.statistics.corrected import Stratum, corrected_share
from bsky_assets.labelling.statistics.gold import IDEOLOGY, OTHER, POLITICS, UnusableGold, read_gold
from bsky_assets.labelling.statistics.metrics import (
    accuracies,
    kappas,
    macro_f1s,
    score,
    weighted_f1s,
)
from bsky_assets.labelling.statistics.sampling import SHOWN, guarded, unguarded
from bsky_assets.settings import get_settings
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, table

CLASSES = st.sampled_from(["left", "right", "moderate", "unclear", "none"])
PAIRS = st.lists(st.tuples(CLASSES, CLASSES), min_size=2, max_size=60)


# --- scores ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_the_resampled_metrics_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    """The bootstrap computes its metrics from confusion matrices, in its own way."""
    gold, predicted = [a for a, _ in pairs], [b for _, b in pairs]
    scores = score(gold, predicted, resamples=50)
    confusion = np.array([scores.confusion], dtype=float)
    assert accuracies(confusion)[0] == pytest.approx(accuracy_score(gold, predicted))
    assert macro_f1s(confusion)[0] == pytest.approx(
        f1_score(gold, predicted, average="macro", zero_division=0)
    )
    assert weighted_f1s(confusion)[0] == pytest.approx(
        f1_score(gold, predicted, average="weighted", zero_division=0)
    )
    if len({*gold, *predicted}) > 1:
        assert kappas(confusion)[0] == pytest.approx(cohen_kappa_score(gold, predicted))
    for estimate in (scores.accuracy, scores.macro_f1):
        assert 0 <= estimate.low <= estimate.high <= 1


@pytest.mark.scenario
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """300 samples of 150 posts from a population whose accuracy and kappa are known."""
    dice = np.random.default_rng(0)
    truth = np.array([[60, 5, 5], [10, 90, 10], [5, 5, 110]]) / 300
    accuracy, kappa = float(accuracies(truth[None])[0]), float(kappas(truth[None])[0])
    held: Counter[str] = Counter()
    for seed in range(300):
        cells = dice.choice(9, size=150, p=truth.ravel())
        scores = score([str(c // 3) for c in cells], [str(c % 3) for c in cells], seed=seed)
        held["accuracy"] += scores.accuracy.low <= accuracy <= scores.accuracy.high
        held["kappa"] += scores.kappa.low <= kappa <= scores.kappa.high
    assert all(270 <= count <= 297 for count in held.values()), held


def test_there_is_nothing_to_say_of_no_post() -> None:
    with pytest.raises(ValueError):
        score([], [])
    with pytest.raises(ValueError):
        score(["a"], [])


# --- corrected shares --------------------------------------------------------------------------


def population(dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """20,000 posts and a model that is wrong more often about some classes than about others."""
    truth = dice.choice(5, 20_000, p=[0.8, 0.12, 0.01, 0.01, 0.06])
    wrong = dice.random(truth.size) < np.where(truth == 0, 0.05, 0.25)
    predicted = truth.copy()
    predicted[wrong] = dice.choice(5, int(wrong.sum()), p=[0.3, 0.25, 0.1, 0.1, 0.25])
    return truth, predicted


@pytest.mark.parametrize("stratified", [True, False])
def test_corrected_shares_are_unbiased_and_their_intervals_hold(stratified: bool) -> None:
    dice = np.random.default_rng(1)
    truth, predicted = population(dice)
    strata = predicted if stratified else np.zeros_like(predicted)
    sizes = {str(name): int((strata == name).sum()) for name in np.unique(strata)}
    for target in (0, 1, 2):
        share, naive = float((truth == target).mean()), float((predicted == target).mean())
        estimates, held = [], 0
        for _ in range(200):
            found = corrected_share(
                "x", naive, list(sample(dice, truth, predicted, strata, sizes, target))
            ).corrected
            estimates.append(found.value)
            held += found.low <= share <= found.high
        assert abs(np.mean(estimates) - share) < 4 * np.std(estimates) / 200**0.5 + 1e-3
        assert held >= 184, f"{held} of 200 intervals hold the true share of class {target}"
    assert abs((truth == 0).mean() - (predicted == 0).mean()) > 0.01, "the naive share is biased"


def sample(
    dice: np.random.Generator,
    truth: np.ndarray,
    predicted: np.ndarray,
    strata: np.ndarray,
    sizes: dict[str, int],
    target: int,
) -> Iterator[Stratum]:
    for name, count in allocate(sizes, 200).items():
        drawn = dice.choice(np.flatnonzero(strata == int(name)), count, replace=False)
        yield Stratum(sizes[name], list(truth[drawn] == target), list(predicted[drawn] == target))


def test_a_sample_of_everything_gives_the_truth_exactly() -> None:
    gold, predicted = [True, False, False, True], [True, True, False, False]
    share = corrected_share("x", 0.5, [Stratum(4, gold, predicted)])
    assert share.corrected.value == share.corrected.low == share.corrected.high == 0.5


def test_shares_of_days_of_which_a_sample_was_labelled_are_unbiased_and_their_intervals_hold() -> (
    None
):
    """200 samples of 1,500 of 20,000 posts, drawn unlike, of which people code 150."""
    dice = np.random.default_rng(3)
    truth, predicted = population(dice)
    doubt = (truth == 1) | (dice.random(truth.size) < 0.1)
    chance = np.where(doubt, 1000 / doubt.sum(), 500 / (~doubt).sum())
    share, estimates, held = float((truth == 1).mean()), [], 0
    for _ in range(200):
        asked = np.concatenate(
            [dice.choice(np.flatnonzero(doubt), 1000, replace=False),
             dice.choice(np.flatnonzero(~doubt), 500, replace=False)]
        )  # fmt: skip
        weight = 1 / chance[asked]
        naive = float(np.average(predicted[asked] == 1, weights=weight))
        sizes = {str(name): int((predicted[asked] == name).sum()) for name in range(5)}
        strata = []
        for name, count in allocate(sizes, 150).items():
            drawn = dice.choice(np.flatnonzero(predicted[asked] == int(name)), count, replace=False)
            posts = sizes[name] * float(weight[drawn].mean())
            mine, theirs = truth[asked][drawn] == 1, predicted[asked][drawn] == 1
            strata.append(Stratum(posts, list(mine), list(theirs), list(weight[drawn])))
        worth = float(weight.sum() ** 2 / (weight**2).sum())
        found = corrected_share("x", naive, strata, worth).corrected
        estimates.append(found.value)
        held += found.low <= share <= found.high
    assert np.mean(estimates) == pytest.approx(share, abs=4 * np.std(estimates) / 200**0.5 + 1e-3)
    assert held >= 184


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 5000), min_size=1), st.integers(1, 500))
def test_every_post_of_a_sample_is_drawn_from_some_stratum(
    sizes: dict[str, int], wanted: int
) -> None:
    drawn = allocate(sizes, wanted)
    assert sum(drawn.values()) == min(wanted, sum(sizes.values()))
    assert all(0 <= drawn[name] <= sizes[name] for name in sizes)


# --- files -------------------------------------------------------------------------------------


def write_csv(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("gold_column", "predicted_column", "name"),
    [
        ("gold_is_sociopolitical", "is_sociopolitical", POLITICS),
        ("is_political", "predicted_is_political", POLITICS),
        ("Human: Sociopolitical", "LLM: Sociopolitical", POLITICS),
        ("political_ideology_gold", "political_ideology_pred", IDEOLOGY),
        ("Political ideology", "model_political_ideology", IDEOLOGY),
        ("y_true", "y_pred", OTHER),
        ("label", "prediction", OTHER),
        ("gold_label", "model_label", OTHER),
        ("annotation", "llm_answer_label", None),
    ],
)
def test_columns_are_known_by_their_names(
    tmp_path: Path, gold_column: str, predicted_column: str, name: str | None
) -> None:
    rows = [
        {"text": text, gold_column: gold, predicted_column: "0"}
        for text, gold in (("a", "1"), ("b", "0"))
    ]
    path = write_csv(tmp_path / "gold.csv", rows)
    (variable,) = read_gold(path).variables
    if name is None:
        assert variable.predicted is None
        return
    assert (variable.name, variable.gold_column) == (name, gold_column)
    assert variable.predicted_column == predicted_column
    (named,) = read_gold(path, gold=gold_column, predicted=predicted_column).variables
    assert (named.gold, named.predicted) == (variable.gold, variable.predicted)


def test_values_that_mean_the_same_are_the_same(tmp_path: Path) -> None:
    spelt = ["True", "yes", "1", "Sociopolitical", "FALSE", "not sociopolitical", "0.0", ""]
    rows = [{"text": str(n), "is_sociopolitical": value} for n, value in enumerate(spelt)]
    (variable,) = read_gold(write_csv(tmp_path / "a.csv", rows)).variables
    assert variable.gold == ("true",) * 4 + ("false",) * 3 + (None,)
    leanings = ["Left-leaning", "left", "RIGHT", "Centrist", "unclear", "None", ""]
    rows = [{"text": str(n), "ideology": value} for n, value in enumerate(leanings)]
    (variable,) = read_gold(write_csv(tmp_path / "b.csv", rows)).variables
    expected = ("left", "left", "right", "moderate", "unclear", "none", None)
    assert variable.gold == expected


def test_a_column_that_is_only_called_label_counts_where_no_other_is_known(tmp_path: Path) -> None:
    rows = [{"text": "a", "is_sociopolitical": "yes", "leaning": "left", "label": "x"}]
    found = read_gold(write_csv(tmp_path / "a.csv", rows)).variables
    assert [(one.name, one.gold) for one in found] == [(POLITICS, ("true",)), (IDEOLOGY, ("left",))]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", ("yes", "maybe", "No")),
        ("is_sociopolitical", ("True", "left", "no")),
        ("ideology", ("Left-leaning", "green", "0")),
    ],
)
def test_values_of_which_one_is_not_known_are_all_kept_as_they_are(
    tmp_path: Path, column: str, values: tuple[str, ...]
) -> None:
    rows = [{"text": str(n), column: f" {value} "} for n, value in enumerate(values)]
    (variable,) = read_gold(write_csv(tmp_path / "a.csv", rows)).variables
    assert variable.gold == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows"),
        ("text,label\n", "no rows"),
        ("text,mood\na,glad\n", "no column .* is seen to hold labels"),
        ("text,gold_1 label,gold label,human label\na,1,1,0\n", "more than one column"),
    ],
)
def test_an_unusable_file_is_refused_in_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(content)
    with pytest.raises(UnusableGold, match=message) as raised:
        read_gold(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_or_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_gold(tmp_path / "none.csv")
    path = write_csv(tmp_path / "gold.csv", [{"text": "a", "label": "x"}])
    with pytest.raises(UserError, match="no column 'gold'"):
        read_gold(path, gold="gold")


@given(st.text())
def test_no_cell_of_a_post_is_a_formula_and_none_is_changed(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("text", ["a=b", "1-1", "'quoted'", ""])
def test_a_text_that_was_not_guarded_stays_as_it_is(text: str) -> None:
    assert unguarded(text) == text


# --- commands ----------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def scores_of(result: Result) -> dict[str, Any]:
    evaluation: dict[str, Any] = orjson.loads(result.output)["evaluation"]
    return evaluation


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_with_both_labels_is_scored_as_scikit_learn_scores_it(
    tmp_path: Path, delimiter: str
) -> None:
    dice = random.Random(delimiter)
    kinds = ["hateful", "offensive, but no more", "neither"]
    rows = []
    for number in range(300):
        truth = dice.choice(kinds)
        guess = truth if dice.random() < 0.7 else dice.choice(kinds)
        rows.append({"text": f"post {number};\n\t,", "human_label": truth, "model_label": guess})
    path = write_csv(tmp_path / "both.csv", rows, delimiter)
    gold, predicted = [r["human_label"] for r in rows], [r["model_label"] for r in rows]
    (compared,) = scores_of(run("eval", str(path), "--json"))["compared"]
    found = compared["scores"]
    assert found["posts"] == 300
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(gold, predicted), abs=5e-4)
    macro = f1_score(gold, predicted, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(macro, abs=5e-4)
    kappa = cohen_kappa_score(gold, predicted)
    assert found["kappa"]["value"] == pytest.approx(kappa, abs=5e-4)
    for part in found["per_class"]:
        label = part["label"]
        only = precision_score(gold, predicted, labels=[label], average="macro")
        assert part["precision"] == pytest.approx(only, abs=5e-4)
    printed = run("eval", str(path)).output
    for value in (accuracy_score(gold, predicted), macro, kappa):
        assert f"{value:.3f}" in printed


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A day of 600 labelled posts, some of them hostile to spreadsheets, in the data directory."""
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered(filtered_post(n, text_of(n)) for n in range(600))
        lab.label()
        monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
        monkeypatch.setenv("BSKY_LLM_BASE_URL", lab.url)
        monkeypatch.setenv("BSKY_LLM_MODELS", "fake")
        get_settings.cache_clear()
        yield lab
    get_settings.cache_clear()


def text_of(number: int) -> str:
    """Every sixth leans left, every sixtieth right; the model sees it by the first letter."""
    if number % 6 == 0:
        return f"Left {number}"
    if number % 60 == 1:
        return f"Right {number}"
    return f"{'=+-@'[number % 4]}HYPERLINK({number})"


def filled_in(path: Path, *, wrong: int = 0) -> list[dict[str, str]]:
    """What a person makes of the file, who differs from the model on the first `wrong` posts."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        leaning = {"L": "left", "R": "right"}.get(row["text"][0], "none")
        if number < wrong:
            leaning = "none" if leaning != "none" else "left"
        row["is_sociopolitical"] = str(leaning != "none")
        row["political_ideology"] = leaning
    write_csv(path, rows)
    return rows


def test_a_sample_is_blind_safe_and_complete(labelled: Lab, tmp_path: Path) -> None:
    out = tmp_path / "sample.csv"
    run("export", "--sample", "80", "--stratify", "label", "--seed", "1", str(out))
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*SHOWN, "is_sociopolitical", "political_ideology", "notes")
    assert len({row["uri"] for row in rows}) == 80
    assert all(row["is_sociopolitical"] == row["political_ideology"] == "" for row in rows)
    assert all(cell[:1] not in "=+-@" for row in rows for cell in row.values() if cell)
    labels = labelled.labels()
    drawn = Counter(labels[row["uri"]][1] for row in rows)
    assert drawn["right"] >= 5, "rare labels are drawn more often"
    order = [labels[row["uri"]][1] for row in rows]
    assert order != sorted(order, key=str), "their order tells nothing"
    again = tmp_path / "again.csv"
    run("export", "--sample", "80", "--seed", "1", str(again))
    with again.open(encoding="utf-8-sig", newline="") as file:
        assert [row["uri"] for row in csv.DictReader(file)] == [row["uri"] for row in rows]


def test_a_filled_in_sample_is_scored_and_the_shares_corrected(
    labelled: Lab, tmp_path: Path
) -> None:
    out = tmp_path / "sample.csv"
    run("export", "--sample", "120", str(out))
    rows = filled_in(out, wrong=12)
    evaluation = scores_of(run("eval", str(out), "--json", "--figure", str(tmp_path / "pictures")))
    politics, ideology = evaluation["compared"]
    assert politics["scores"]["accuracy"]["value"] == pytest.approx(108 / 120)
    assert ideology["scores"]["accuracy"]["value"] == pytest.approx(108 / 120)
    assert evaluation["is_designed"] is True
    assert evaluation["is_of_sample"] is False
    shares = {share["label"]: share for share in evaluation["shares"]}
    assert shares["left"]["naive"] == pytest.approx(100 / 600)
    assert shares["right"]["naive"] == pytest.approx(10 / 600)
    # By hand: each stratum's mean difference between people and model, by the stratum's size.
    labels = labelled.labels()
    sizes = Counter(label for _, label in labels.values())
    by_hand = 110 / 600
    for stratum, size in sizes.items():
        differences = [
            (row["is_sociopolitical"] == "True") - labels[row["uri"]][0]
            for row in rows
            if labels[row["uri"]][1] == stratum
        ]
        by_hand += size / 600 * sum(differences) / len(differences)
    assert shares["sociopolitical"]["corrected"]["value"] == pytest.approx(by_hand)
    assert (tmp_path / "pictures" / "political_ideology.png").read_bytes()[:4] == b"\x89PNG"


def test_a_file_of_a_day_of_which_a_sample_was_labelled_is_weighed_by_chance(
    labelled: Lab, tmp_path: Path
) -> None:
    """Posts that lean left are asked about more often, and people differ on some of them."""
    uris = [filtered_post(n, "")["uri"] for n in range(600)]
    scores = [
        {"uri": uri, "political": 0.6 if n % 6 == 0 else 0.02, "student": "a"}
        for n, uri in enumerate(uris)
    ]
    details = StudentDetails(students={"political": "a"}, scored=600)
    labelled.lake.write(ScoredPost, DAY, table(ScoredPost, scores), details)
    labelled.options["llm_sample"] = 150
    labelled.label()
    weight = {
        r["uri"]: 1 / r["selection_chance"] for r in labelled.rows() if r["is_label_of_record"]
    }
    assert len({*weight.values()}) == 2
    out = tmp_path / "sample.csv"
    run("export", "--sample", "600", str(out))
    rows = filled_in(out, wrong=30)
    assert {row["uri"] for row in rows} == weight.keys()
    evaluation = scores_of(run("eval", str(out), "--json"))
    assert evaluation["is_of_sample"] is True
    total = sum(weight.values())
    assert total == pytest.approx(600)
    shares = {share["label"]: share for share in evaluation["shares"]}
    for name in ("left", "right"):
        by_people = sum(weight[r["uri"]] for r in rows if r["political_ideology"] == name) / total
        found = shares[name]["corrected"]
        assert found["value"] == pytest.approx(by_people), "people coded all that was asked about"
    left = shares["left"]["corrected"]
    assert left["low"] + 0.02 < left["value"] < left["high"] - 0.02, "and the others nobody"
    assert shares["left"]["naive"] == pytest.approx(100 / 600, abs=0.001)
    hits = [labelled.labels()[r["uri"]][1] == (r["political_ideology"].replace("none", "") or None)
            for r in rows]  # fmt: skip
    weighed = sum(weight[r["uri"]] for r, hit in zip(rows, hits, strict=True) if hit) / total
    assert sum(hits) == 120
    ideology = evaluation["compared"][1]["scores"]
    assert ideology["accuracy"]["value"] == pytest.approx(weighed)
    assert ideology["accuracy"]["value"] != pytest.approx(120 / 150, abs=0.001)
    assert "shares of all posts asked about or not" in run("eval", str(out)).output


def test_posts_are_found_by_text_too_and_a_plain_sample_is_taken_for_one(
    labelled: Lab, tmp_path: Path
) -> None:
    rows = [{"text": text_of(n), "sociopolitical": int(n % 6 == 0)} for n in range(100)]
    rows.append({"text": "a post from elsewhere", "sociopolitical": 1})
    path = write_csv(tmp_path / "texts.csv", rows)
    evaluation = scores_of(run("eval", str(path), "--json"))
    (politics,) = evaluation["compared"]
    assert politics["scores"]["posts"] == 100
    assert politics["without_label"] == 1
    assert politics["scores"]["accuracy"]["value"] == pytest.approx(0.98), "two lean right"
    assert evaluation["is_designed"] is False
    assert "as if drawn at random" in run("eval", str(path)).output


def test_consistency_is_measured_once_and_then_known(labelled: Lab, tmp_path: Path) -> None:
    out = tmp_path / "sample.csv"
    run("export", "--sample", "30", str(out))
    filled_in(out)
    measured = run("eval", str(out), "--consistency", "--json").stdout
    consistency = orjson.loads(measured)["consistency"]
    assert consistency["drift"]["posts"] == consistency["repeated"]["posts"] == 30
    assert consistency["drift"]["accuracy"]["value"] == 1
    before = labelled.rows()
    labelled.url = "http://127.0.0.1:9/v1"
    labelled.label()
    assert labelled.rows() == before, "no label is made of a measurement"


def test_there_is_nothing_to_compare_with_one_model(labelled: Lab) -> None:
    with pytest.raises(UserError, match="no two models"):
        run("compare")


def test_without_labels_there_is_nothing_to_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    with pytest.raises(UserError, match="materialise llm_labels"):
        run("export", str(tmp_path / "out.csv"))
    get_settings.cache_clear()
