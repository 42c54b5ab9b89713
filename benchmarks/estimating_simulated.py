"""How often intervals hold the truth, and how often there is a finding where there is none.

    python -m benchmarks.estimating_simulated [REPETITIONS] [POSTS] [CODED] [FIRST]

Each repetition is a week of posts (`testbed.studied_days`) labelled by a model whose accuracy is
drawn between 50 and 95% and whose errors depend on the covariate, with a sample by people. Naive is
the same regression on the model's labels. `FIRST` is the first seed, so that runs can be split.
Last are false findings at a nominal 5%, of weeks whose labels are all the model's, and of sampled
ones.
"""

import json
import sys
import time
from collections import defaultdict
from datetime import date

import numpy as np
from statsmodels.api import OLS

from bsky_assets.estimating.estimates import Estimated, estimated
from bsky_assets.estimating.regression import LINEAR, LOGISTIC
from testbed.studied_days import Studied, World, studied

DAY = [date(2026, 3, 2)]
NO_EFFECT = World(link=0.0)
REGRESSION = "political ~ has_link + day"


def main(repetitions: int = 1000, posts: int = 4000, coded: int = 400, first: int = 0) -> None:
    """Print what was found, and last one line of JSON."""
    started, held = time.monotonic(), defaultdict(list)
    world = World()
    truths = {kind: world.truth(kind) for kind in (LINEAR, LOGISTIC)}
    for seed in range(first, first + repetitions):
        dice = np.random.default_rng(seed)
        accuracy = dice.uniform(0.5, 0.95)
        week = studied(dice, world, posts=posts, accuracy=accuracy)
        people = week.people(coded, dice)
        share = estimated("political", week.posts, people, DAY)
        note(held, "share", share, 0, world.share())
        for kind, truth in truths.items():
            found = estimated(REGRESSION, week.posts, people, DAY, kind)
            note(held, f"{kind} difference", found, 1, truth[1])
            note(held, f"{kind} trend", found, 2, truth[2])
        if accuracy >= 0.85:
            narrower(held, "width to people alone, accuracy over .85", week, share, coded, dice)
        sampled(held, week, accuracy, coded, dice)
        null = studied(dice, NO_EFFECT, posts=posts, accuracy=accuracy)
        part = null.labelled(posts // 3, dice, accuracy=dice.uniform(0.5, 0.95))
        for name, each in {"": null, " sampled": part}.items():
            people = each.people(coded, dice)
            (_, effect) = estimated("political ~ has_link", each.posts, people, DAY).coefficients
            held[f"false findings{name}"].append(effect.corrected_p < 0.05)
            held[f"naive false findings{name}"].append(effect.naive_p < 0.05)
    shares = {name: round(float(np.mean(values)), 4) for name, values in sorted(held.items())}
    for name, value in shares.items():
        print(f"{name:40} {value:.3f}")
    seconds = round(time.monotonic() - started, 1)
    told = {"name": "estimating_simulated", "repetitions": repetitions, "posts": posts}
    print(json.dumps({**told, "coded": coded, "seconds": seconds, **shares}))


def sampled(
    held: dict[str, list[float]],
    week: Studied,
    accuracy: float,
    coded: int,
    dice: np.random.Generator,
) -> None:
    """The same week with a student, where the model was asked about a third of the posts.

    The student's accuracy is drawn between 50 and 95%, too. Widths are to those of as many posts by
    people alone.
    """
    world, student = World(), dice.uniform(0.5, 0.95)
    part = week.labelled(len(week.truth) // 3, dice, accuracy=student)
    people = part.people(coded, dice)
    share = estimated("political", part.posts, people, DAY)
    note(held, "sampled share", share, 0, world.share())
    for kind in (LINEAR, LOGISTIC):
        found, truth = estimated(REGRESSION, part.posts, people, DAY, kind), world.truth(kind)
        note(held, f"sampled {kind} difference", found, 1, truth[1])
        note(held, f"sampled {kind} trend", found, 2, truth[2])
    (one,) = share.coefficients
    held["sampled share off by"].append(one.corrected.value - float(week.truth.mean()))
    for least in (0.5, 0.7, 0.85):
        if student >= least:
            name = f"width with a student over {least}, a sample labelled"
            narrower(held, name, week, share, coded, dice)
            if accuracy >= 0.85:
                narrower(held, f"{name}, accuracy over .85", week, share, coded, dice)


def note(
    held: dict[str, list[float]], name: str, found: Estimated, which: int, true: float
) -> None:
    """Whether the two intervals of a coefficient hold what is true."""
    one = found.coefficients[which]
    held[f"{name}, held"].append(one.corrected.low <= true <= one.corrected.high)
    held[f"{name}, naive held"].append(one.naive.low <= true <= one.naive.high)


def narrower(
    held: dict[str, list[float]],
    name: str,
    week: Studied,
    share: Estimated,
    coded: int,
    dice: np.random.Generator,
) -> None:
    """The width of the share's interval to that of a simple sample by people alone."""
    drawn = dice.choice(len(week.truth), coded, replace=False)
    alone = OLS(week.truth[drawn], np.ones(coded)).fit().conf_int()[0]
    (one,) = share.coefficients
    width = one.corrected.high - one.corrected.low
    held[name].append(width / (alone[1] - alone[0]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
