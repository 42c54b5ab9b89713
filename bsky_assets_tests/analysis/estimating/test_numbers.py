"""The estimators against independent implementations: ppi-python, scipy, sums written out."""

from collections import Counter, defaultdict
from datetime import date

import numpy as np
import pandas as pd
import pytest
from ppi_py import ppi_logistic_pointestimate, ppi_mean_ci, ppi_mean_pointestimate
from scipy.optimize import root
from scipy.special import expit
from scipy.stats import t as student

from bsky_assets.analysis.estimating.correcting import (
    Corrected,
    Labelled,
    carried,
    correct,
    folds_of,
)
from bsky_assets.analysis.estimating.estimates import estimated
from bsky_assets.analysis.estimating.people import People
from bsky_assets.analysis.estimating.regression import LINEAR, LOGISTIC, fit, fit_corrected
from bsky_assets.errors import UserError
from testbed.studied_days import Studied, World, studied

DAYS = [date(2026, 3, 2)]


def plain(outcome: np.ndarray, predicted: np.ndarray, coded: np.ndarray) -> Corrected:
    """Corrected by the model's own labels as prediction, of a simple random sample."""
    weight = np.where(coded, len(coded) / coded.sum(), 0.0)
    corrected = predicted + weight * np.where(coded, outcome - predicted, 0.0)
    return Corrected(corrected, coded, weight, np.zeros(len(coded)))


@pytest.fixture
def sampled() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, the model's labels, a matrix, and which of 6,000 posts are in the sample."""
    dice = np.random.default_rng(11)
    link = (dice.random(6000) < 0.4).astype(float)
    truth = (dice.random(6000) < 0.3 + 0.2 * link).astype(float)
    wrong = dice.random(6000) < 0.1 + 0.1 * link
    matrix = np.column_stack([np.ones(6000), link])
    coded = np.zeros(6000, dtype=bool)
    coded[dice.choice(6000, 600, replace=False)] = True
    return truth, np.where(wrong, 1 - truth, truth), matrix, coded


def test_a_share_is_that_of_ppi_python_with_its_interval(
    sampled: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, predicted, _, coded = sampled
    one = fit_corrected(LINEAR, plain(truth, predicted, coded), np.ones((6000, 1)), np.arange(6000))
    theirs = ppi_mean_pointestimate(truth[coded], predicted[coded], predicted, lam=1)
    assert one.values[0] == pytest.approx(float(theirs[0]), abs=1e-9)
    low, high = ppi_mean_ci(truth[coded], predicted[coded], predicted, alpha=0.05, lam=1)
    mine = one.estimate(0)
    assert mine.low == pytest.approx(float(low[0]), abs=2e-3)
    assert mine.high == pytest.approx(float(high[0]), abs=2e-3)


def test_logistic_coefficients_are_those_of_ppi_python(
    sampled: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, predicted, matrix, coded = sampled
    one = fit_corrected(LOGISTIC, plain(truth, predicted, coded), matrix, np.arange(6000))
    # Its loss has the matrix of the sample in one half and of all posts in the other, so that it
    # is the same where the sample has the same share of links: here it nearly has.
    theirs = ppi_logistic_pointestimate(
        matrix[coded], truth[coded], predicted[coded], matrix, predicted, lam=1
    )
    assert one.values == pytest.approx(theirs, abs=1e-3)


def clustered(
    kind: str, outcome: np.ndarray, matrix: np.ndarray, authors: np.ndarray, counts: np.ndarray
) -> tuple:
    """Coefficients and standard errors, written out by the textbook: sums over authors in a loop.

    Source: Cameron & Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, eq. 10; with
    weights: section IV.D.
    """

    def mean(b: np.ndarray) -> np.ndarray:
        return matrix @ b if kind == LINEAR else expit(matrix @ b)

    b = root(
        lambda b: matrix.T @ (counts * (outcome - mean(b))), np.zeros(matrix.shape[1]), tol=1e-12
    ).x
    slope = (
        np.ones(len(b)) @ np.ones(len(b)) / len(b) if kind == LINEAR else mean(b) * (1 - mean(b))
    )
    bread = np.linalg.inv(matrix.T @ (matrix.T * slope * counts).T)
    scores: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(matrix.shape[1]))
    for row, author in enumerate(authors):
        scores[author] += counts[row] * matrix[row] * (outcome[row] - mean(b)[row])
    meat = sum(np.outer(score, score) for score in scores.values())
    groups, (posts, columns) = len(scores), matrix.shape
    small = groups / (groups - 1) * ((posts - 1) / (posts - columns) if kind == LINEAR else 1)
    return b, np.sqrt(np.diag(bread @ meat @ bread * small))


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("kind", [LINEAR, LOGISTIC])
def test_errors_are_clustered_by_author_as_the_textbook_has_it(kind: str, is_counted: bool) -> None:
    dice = np.random.default_rng(3)
    week = studied(dice, World(), posts=600, accuracy=0.8)
    authors = pd.factorize(week.posts["author"])[0]
    matrix = np.column_stack([np.ones(600), week.posts["has_link"], week.posts["day"]]).astype(
        float
    )
    coded = np.arange(600) % 3 == 0
    predicted = (week.posts["label"] == "left").to_numpy(dtype=float)
    corrected = plain(week.truth, predicted, coded)
    counts = dice.uniform(1, 9, 600) if is_counted else np.ones(600)
    mine = fit(kind, corrected.outcome, matrix, authors, 197, counts if is_counted else None)
    values, errors = clustered(kind, corrected.outcome, matrix, authors, counts)
    assert mine.values == pytest.approx(values, abs=1e-6)
    for number, (value, error) in enumerate(zip(values, errors, strict=True)):
        margin = student.ppf(0.975, 197) * error
        found = mine.estimate(number)
        assert (found.low, found.high) == pytest.approx((value - margin, value + margin), abs=1e-4)


@pytest.mark.scenario
def test_a_corrected_outcome_has_the_truth_for_its_mean_however_wrong_the_model_is() -> None:
    """Over 400 samples of the same posts, of which the model has half wrong."""
    dice = np.random.default_rng(4)
    week = studied(dice, World(), posts=900, accuracy=0.5)
    predicted = (week.posts["label"] == "left").to_numpy(dtype=float)
    folds = folds_of(week.posts["author"])
    means = []
    for _ in range(400):
        people = week.people(90, dice)
        said = week.posts["uri"].map(people.labels)
        coded = np.where(said.isna(), np.nan, said == "left").astype(float)
        chance = week.posts["uri"].map(people.chances).to_numpy(dtype=float)
        label = week.posts["label"]
        means.append(correct(coded, chance, label, predicted, folds).outcome.mean())
    error = np.std(means) / np.sqrt(len(means))
    assert np.mean(means) == pytest.approx(week.truth.mean(), abs=3 * error)


def test_a_sample_of_everything_gives_the_truth_exactly() -> None:
    dice = np.random.default_rng(5)
    week = studied(dice, World(), posts=500, accuracy=0.7)
    found = estimated("political ~ has_link", week.posts, week.people(500, dice), DAYS)
    linked = week.posts["has_link"].to_numpy()
    intercept, link = (one.corrected.value for one in found.coefficients)
    assert intercept == pytest.approx(week.truth[~linked].mean())
    assert intercept + link == pytest.approx(week.truth[linked].mean())
    assert found.coded == 500


def test_intervals_hold_the_truth_where_naive_ones_do_not() -> None:
    """60 weeks by models of 50 to 95% whose errors depend on links; the benchmark has 1,000."""
    world = World()
    truths = {kind: world.truth(kind) for kind in (LINEAR, LOGISTIC)}
    held, naive = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for seed in range(60):
        dice = np.random.default_rng(seed)
        week = studied(dice, world, posts=1500, accuracy=dice.uniform(0.5, 0.95))
        people = week.people(250, dice)
        for kind, truth in truths.items():
            found = estimated("political ~ has_link + day", week.posts, people, DAYS, kind)
            for which, true in enumerate(truth):
                one = found.coefficients[which]
                held[kind, which] += one.corrected.low <= true <= one.corrected.high
                naive[kind, which] += one.naive.low <= true <= one.naive.high
    for kind in truths:
        for which in (1, 2):
            assert 54 <= held[kind, which] <= 60, (kind, which)
            assert naive[kind, which] < held[kind, which] - 15, (kind, which)
        assert naive[kind, 1] < 30


def test_nothing_is_found_where_there_is_nothing_but_what_the_model_makes_up() -> None:
    """60 weeks in which links have no effect, but the model takes them for one."""
    nothing = World(link=0.0)
    false = Counter[str]()
    for seed in range(60):
        dice = np.random.default_rng(seed)
        week = studied(dice, nothing, posts=1500, accuracy=dice.uniform(0.5, 0.95))
        found = estimated("political ~ has_link", week.posts, week.people(250, dice), DAYS)
        false["corrected"] += found.coefficients[1].corrected_p < 0.05
        false["naive"] += found.coefficients[1].naive_p < 0.05
    assert false["corrected"] <= 6
    assert false["naive"] > 45


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("political ~ has_lnk", "there is no column 'has_lnk'; there are day, weekday, hour"),
        ("politics ~ has_link", "'politics' cannot be estimated; there are political, left"),
        ("political ~ __import__('os').system('x')", "there is no column '__import__'"),
        ("political ~ C.__class__", "there is no column 'C'"),
        ("political ~ has_link[0]", "cannot stand in a formula"),
        ("political ~ has_link +", "cannot read"),
        ("political ~ has_link + C(has_link)", "depend on each other"),
        ("political ~ 0", "depend on each other"),
    ],
)
def test_a_formula_that_is_none_is_refused_in_one_line(formula: str, says: str) -> None:
    dice = np.random.default_rng(6)
    week = studied(dice, World(), posts=300, accuracy=0.8)
    with pytest.raises(UserError) as refused:
        estimated(formula, week.posts, week.people(60, dice), DAYS)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_the_design_does_not_carry_is_no_number() -> None:
    dice = np.random.default_rng(7)
    week = studied(dice, World(), posts=300, accuracy=0.8)
    people = week.people(60, dice)
    same = People("s", dict.fromkeys(people.labels, "left"), people.chances)
    with pytest.raises(UserError, match="60 posts of these days that people coded are all of one"):
        estimated("political", week.posts, same, DAYS)
    few = {uri: people.chances[uri] for uri in [*people.labels][:3]}
    labels = dict(zip(few, ("left", "right", "not_sociopolitical"), strict=True))
    with pytest.raises(UserError, match="3 coded posts do not carry 3 coefficients"):
        estimated("political ~ has_link + day", week.posts, People("s", labels, few), DAYS)


@pytest.mark.scenario
def test_where_a_sample_is_labelled_people_correct_it_for_all_and_intervals_hold() -> None:
    """80 weeks of 3,000 posts, 600 of them labelled by the model, 200 of these by people too."""
    world, true = World(), World().truth(LINEAR)[1]
    held = naive = 0
    values = []
    for seed in range(80):
        dice = np.random.default_rng(seed)
        week = studied(dice, world, posts=3000, accuracy=0.75).labelled(600, dice, accuracy=0.85)
        people = week.people(200, dice)
        found = estimated("political ~ has_link", week.posts, people, DAYS)
        assert (found.posts, found.labelled, found.coded) == (3000, 600, 200)
        one = found.coefficients[1]
        held += one.corrected.low <= true <= one.corrected.high
        naive += one.naive.low <= true <= one.naive.high
        share = estimated("political", week.posts, people, DAYS).coefficients[0]
        values.append(share.corrected.value - week.truth.mean())
    assert 71 <= held <= 80
    assert naive < 40
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(80))


def two_phase(week: Studied, people: People) -> tuple[float, float]:
    """The double expansion estimator of a share and its standard error, post by post.

    Source: Särndal, Swensson & Wretman, Model Assisted Survey Sampling, 1992, ch. 9.3, with the
    group means as the first phase's prediction and none in the second.
    """
    total = {}
    for row in week.posts.itertuples():
        if row.uri in people.labels:
            weight = 1 / (row.chance * people.chances[row.uri])
            total[row.uri] = weight * (people.labels[row.uri] == "left")
    values = np.array([total.get(uri, 0.0) for uri in week.posts["uri"]])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def test_without_any_prediction_it_is_the_double_expansion_estimator() -> None:
    dice = np.random.default_rng(9)
    week = studied(dice, World(), posts=2000, accuracy=0.8).labelled(500, dice, accuracy=0.8)
    people = week.people(150, dice)
    said = week.posts["uri"].map(people.labels).where(week.posts["chance"].notna())
    coded = np.where(said.isna(), np.nan, said == "left").astype(float)
    weight = np.nan_to_num(1 / week.posts["chance"].to_numpy())
    chance = week.posts["uri"].map(people.chances).to_numpy(dtype=float)
    plain = np.where(np.isnan(coded), 0.0, weight / np.where(np.isnan(coded), 1.0, chance) * coded)
    value, error = two_phase(week, people)
    found = fit(LINEAR, plain, np.ones((2000, 1)), np.arange(2000), 149)
    assert found.values[0] == pytest.approx(value, abs=1e-9)
    assert found.covariance[0, 0] ** 0.5 == pytest.approx(error, abs=1e-6)
    corrected = correct(
        coded, chance, week.posts["label"], (week.posts["label"] == "left").to_numpy(dtype=float),
        folds_of(week.posts["author"]), Labelled(weight, np.zeros(2000, dtype=int)),
    )  # fmt: skip
    assert corrected.outcome.mean() == pytest.approx(value, abs=3 * error)
    mine = fit_corrected(LINEAR, corrected, np.ones((2000, 1)), np.arange(2000))
    assert mine.covariance[0, 0] ** 0.5 < error, "what is predicted makes it narrower"


def of_some(week: Studied, dice: np.random.Generator) -> tuple[Studied, float]:
    """Of a sampled week the posts that another codebook's answer makes be asked about, more often
    political ones, and the share of political posts among all such posts of the week. Political
    posts are drawn half as often; which others would be asked about is not known."""
    is_asked = dice.random(len(week.truth)) < 0.3 + 0.3 * week.truth
    chance = np.where(week.truth > 0, 0.25, 0.5)
    drawn = (dice.random(len(week.truth)) < chance) & is_asked
    posts = week.posts.assign(chance=chance)[drawn].reset_index(drop=True)
    return Studied(posts, week.truth[drawn]), float(week.truth[is_asked].mean())


def test_of_what_a_sample_was_asked_on_another_answer_shares_are_right_and_intervals_hold() -> None:
    """80 weeks of 3,000 posts, some 450 of which are drawn and asked, and 150 of these coded."""
    held, off, posts = 0, [], []
    for seed in range(80):
        dice = np.random.default_rng(seed)
        week, true = of_some(studied(dice, World(), posts=3000, accuracy=0.8), dice)
        found = estimated("political", week.posts, week.people(150, dice), DAYS)
        one = found.coefficients[0].corrected
        held += one.low <= true <= one.high
        off.append(one.value - true)
        posts.append(found.posts)
        assert (found.labelled, found.coded) == (len(week.truth), 150)
        assert week.truth.mean() < true - 0.1, "drawn ones alone mislead"
    assert 72 <= held <= 80
    assert np.mean(off) == pytest.approx(0, abs=3 * np.std(off) / np.sqrt(80))
    assert np.mean(posts) == pytest.approx(3000 * 0.41, rel=0.05)
    every = estimated("political", week.posts, week.people(len(week.truth), dice), DAYS)
    counts = 1 / week.posts["chance"].to_numpy()
    assert every.coefficients[0].corrected.value == pytest.approx(
        (counts * week.truth).sum() / counts.sum()
    ), "all of them coded it is the mean by weights (Hajek)"


def test_people_who_coded_another_sample_correct_nothing() -> None:
    dice = np.random.default_rng(8)
    week = studied(dice, World(), posts=2000, accuracy=0.8).labelled(500, dice, accuracy=0.8)
    people = week.people(150, dice)
    other = People("s", people.labels, people.chances, drawn_from=2000)
    with pytest.raises(UserError, match="drawn from 2,000 labelled posts, and 500 of these days"):
        estimated("political", week.posts, other, DAYS)


@pytest.mark.parametrize(
    ("drawn_from", "is_same"), [(476, False), (477, True), (526, True), (527, False)]
)
def test_a_sample_of_which_a_twentieth_came_or_went_is_the_same(
    drawn_from: int, is_same: bool
) -> None:
    dice = np.random.default_rng(8)
    week = studied(dice, World(), posts=2000, accuracy=0.8).labelled(500, dice, accuracy=0.8)
    people = week.people(150, dice)
    changed = People("s", people.labels, people.chances, drawn_from)
    if is_same:
        assert estimated("political", week.posts, changed, DAYS).coded == 150
    else:
        with pytest.raises(UserError, match="the day's sample is another"):
            estimated("political", week.posts, changed, DAYS)


def test_naive_intervals_are_of_the_models_labels_alone_with_as_much_freedom_as_there_are() -> None:
    dice = np.random.default_rng(10)
    week = studied(dice, World(), posts=60, accuracy=0.7).labelled(30, dice, accuracy=0.8)
    posts, folds = week.posts, folds_of(week.posts["author"])
    said = np.where(posts["label"].isna(), np.nan, posts["label"] == "left").astype(float)
    labelled = Labelled(
        np.nan_to_num(1 / posts["chance"].to_numpy()), pd.factorize(posts["student_group"])[0]
    )
    matrix = np.column_stack([np.ones(60), posts["has_link"]]).astype(float)
    authors = pd.factorize(posts["author"])[0]
    values, errors = clustered(
        LINEAR, carried(said, said, labelled, folds), matrix, authors, np.ones(60)
    )
    found = estimated("political ~ has_link", posts, week.people(25, dice), DAYS).coefficients
    for one, value, error in zip(found, values, errors, strict=True):
        margin = student.ppf(0.975, 28) * error
        assert one.naive.value == pytest.approx(value)
        assert one.naive.high - value == pytest.approx(margin, rel=1e-3)
        assert one.naive_p == pytest.approx(2 * student.sf(abs(value) / error, 28), rel=1e-3)
