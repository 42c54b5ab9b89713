"""How often intervals hold the truth, and how often there is a finding where there is none.

    python -m benchmarks.estimating_simulated [REPETITIONS] [POSTS] [CODED] [FIRST]

Each repetition is a week of posts (`testbed.studied_days`) labelled by a model whose accuracy is
drawn between 50 and 95% and whose errors depend on the covariate, with a sample by people.
*Sampled* is the same week where the model was asked about a third of the posts, with a student
whose accuracy is drawn between 50 and 95%, too, and whose errors depend on the covariate likewise.
Naive is the same regression on the model's labels. Widths are to those of as many posts by people
alone. False findings are at a nominal 5%, of weeks in which neither links nor days have an effect.
`FIRST` is the first seed, so that runs can be split. What was found so far is told every hundred
weeks.
"""

import sys
import time
from collections import defaultdict
from datetime import date

import numpy as np
from statsmodels.regression.linear_model import OLS

from benchmarks.measuring import report
from bsky_assets.analysis.estimating.estimates import Estimated, estimated
from bsky_assets.analysis.estimating.regression import LINEAR, LOGISTIC
from bsky_assets.labelling.statistics.metrics import Estimate
from testbed.studied_days import Studied, World, studied

DAY = [date(2026, 3, 2)]
THERE, NOTHING = World(), World(link=0.0, day=0.0)
TRUTHS = {kind: THERE.truth(kind) for kind in (LINEAR, LOGISTIC)}
REGRESSION = "political ~ has_link + day"
COEFFICIENTS = {1: "difference", 2: "trend"}
LEAST, MOST = 0.5, 0.95
BANDS = ((LEAST, 0.7), (0.7, 0.85), (0.85, MOST))
TOLD = 100
Held = dict[str, list[float]]


def main(repetitions: int = 1000, posts: int = 4000, coded: int = 400, first: int = 0) -> None:
    """Print what was found, and last one line of JSON."""
    started, held = time.process_time(), defaultdict(list)
    for number in range(1, repetitions + 1):
        dice = np.random.default_rng(first + number - 1)
        accuracies = dice.uniform(LEAST, MOST), dice.uniform(LEAST, MOST)
        with_effects(held, accuracies, posts, coded, dice)
        without_effects(held, accuracies, posts, coded, dice)
        if number % TOLD and number < repetitions:
            continue
        shares = {name: round(float(np.mean(values)), 4) for name, values in sorted(held.items())}
        for name, value in shares.items():
            print(f"{name:60} {value:.3f} of {len(held[name])}")
        seconds = round(time.process_time() - started, 1)
        told = {"repetitions": number, "posts": posts, "coded": coded, "first": first}
        report("estimating_simulated", **told, cpu_seconds=seconds, **shares)


def weeks(
    world: World, accuracies: tuple[float, float], posts: int, dice: np.random.Generator
) -> dict[str, Studied]:
    """A week of which all is labelled, and the same of which a third is."""
    by_model, by_student = accuracies
    week = studied(dice, world, posts=posts, accuracy=by_model)
    return {"": week, "sampled ": week.labelled(posts // 3, dice, accuracy=by_student)}


def with_effects(
    held: Held,
    accuracies: tuple[float, float],
    posts: int,
    coded: int,
    dice: np.random.Generator,
) -> None:
    """Whether intervals hold the truth, and how wide they are."""
    by_model, by_student = (band(accuracy) for accuracy in accuracies)
    for name, week in weeks(THERE, accuracies, posts, dice).items():
        people = week.people(coded, dice)
        share = estimated("political", week.posts, people, DAY)
        note(held, f"{name}share", share, 0, THERE.share())
        (one,) = share.coefficients
        held[f"{name}share off by"].append(one.corrected.value - float(week.truth.mean()))
        for kind, truth in TRUTHS.items():
            found = estimated(REGRESSION, week.posts, people, DAY, kind)
            for which, what in COEFFICIENTS.items():
                note(held, f"{name}{kind} {what}", found, which, truth[which])
            if kind == LINEAR:
                of_difference = found.coefficients[1].corrected
        of = f"{name}model {by_model}, student {by_student}" if name else f"model {by_model}"
        alone = by_people_alone(week, coded, dice)
        held[f"width of share, {of}"].append(width(one.corrected) / alone[0])
        held[f"width of difference, {of}"].append(width(of_difference) / alone[1])


def without_effects(
    held: Held,
    accuracies: tuple[float, float],
    posts: int,
    coded: int,
    dice: np.random.Generator,
) -> None:
    """Whether something is found all the same."""
    for name, week in weeks(NOTHING, accuracies, posts, dice).items():
        people = week.people(coded, dice)
        for kind in TRUTHS:
            found = estimated(REGRESSION, week.posts, people, DAY, kind)
            for which, what in COEFFICIENTS.items():
                one = found.coefficients[which]
                what = f"{name}{kind} {what}, false findings"
                held[what].append(one.corrected_p < 0.05)
                held[f"{what}, naive"].append(one.naive_p < 0.05)


def band(accuracy: float) -> str:
    """The band that an accuracy is in."""
    return next(f"{low:.2f} to {high:.2f}" for low, high in BANDS if accuracy <= high)


def note(held: Held, name: str, found: Estimated, which: int, true: float) -> None:
    """Whether the two intervals of a coefficient hold what is true."""
    one = found.coefficients[which]
    held[f"{name}, held"].append(one.corrected.low <= true <= one.corrected.high)
    held[f"{name}, held, naive"].append(one.naive.low <= true <= one.naive.high)


def width(interval: Estimate) -> float:
    """From end to end."""
    return interval.high - interval.low


def by_people_alone(week: Studied, coded: int, dice: np.random.Generator) -> tuple[float, float]:
    """The widths for the share and the linear difference of a simple sample by people alone."""
    drawn = dice.choice(len(week.truth), coded, replace=False)
    truth, columns = week.truth[drawn], week.posts[["has_link", "day"]].to_numpy(dtype=float)
    share, difference = (
        float(np.ptp(OLS(truth, matrix).fit().conf_int()[which]))
        for matrix, which in (
            (np.ones((coded, 1)), 0),
            (np.column_stack([np.ones(coded), columns[drawn]]), 1),
        )
    )
    return share, difference


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
