"""Days of posts whose truth is known, a model that errs, and people who code a sample of them.

The model's errors depend on whether a post has a link, so that what is counted from its labels is
wrong in a way that looks like a finding. Posts of one author are alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import root
from scipy.special import expit

from bsky_assets.analysis.estimating.people import People
from bsky_assets.labelling.statistics.allocation import allocate

DAYS = 7
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What decides whether a post is political, on the scale of log odds."""

    base: float = -0.8
    link: float = 0.5
    day: float = 0.1
    author: float = 0.7
    """The standard deviation of what authors have in common."""

    def chance(self, link: Floats, day: Floats, author: Floats) -> Floats:
        odds = self.base + self.link * link + self.day * (day - 3) + self.author * author
        return np.asarray(expit(odds))

    def truth(self, kind: str) -> Floats:
        """The coefficients of `1 + has_link + day` that all posts there could be would have."""
        link, day = (part.ravel().astype(float) for part in np.mgrid[0:2, 0:DAYS])
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        means = self.chance(link[:, None], day[:, None], nodes[None]) @ (weights / weights.sum())
        matrix = np.column_stack([np.ones_like(link), link, day])
        if kind == "linear":
            return np.asarray(np.linalg.lstsq(matrix, means, rcond=None)[0])
        found = root(lambda b: matrix.T @ (means - expit(matrix @ b)), np.zeros(3))
        return np.asarray(found.x)

    def share(self) -> float:
        """The share of political posts among all there could be."""
        intercept, link, day = self.truth("linear")
        return float(intercept + link / 2 + day * (DAYS - 1) / 2)


@dataclass(frozen=True)
class Studied:
    """Posts as `population` gives them, with the truth beside."""

    posts: pd.DataFrame
    truth: Floats

    def labelled(
        self, size: int, dice: np.random.Generator, *, accuracy: float, tilt: float = 0.08
    ) -> "Studied":
        """The same where the model was asked about `size` posts, drawn in the groups of a student
        of that accuracy, whose errors depend on links as the model's do, and on nothing else of
        it."""
        posts = len(self.truth)
        link = np.asarray(self.posts["has_link"], dtype=np.float64)
        says = mistaken(self.truth, link, dice, accuracy, tilt)
        groups = pd.Series(says.astype(int).astype(str), index=self.posts.index)
        chance = np.full(posts, np.nan)
        drawn = allocate({str(k): int(n) for k, n in groups.value_counts().items()}, size)
        for name, count in drawn.items():
            members = np.flatnonzero(groups == name)
            chance[dice.choice(members, count, replace=False)] = count / len(members)
        frame = self.posts.assign(chance=chance, student_group=groups)
        frame["label"] = frame["label"].where(frame["chance"].notna())
        frame["stratum"] = frame["label"] + " " + groups
        return Studied(frame, self.truth)

    def people(self, coded: int, dice: np.random.Generator, *, by: str | None = "label") -> People:
        """What people say who make no mistakes, of a sample stratified by a column."""
        strata = self.posts[by] if by else pd.Series("all", index=self.posts.index)
        sizes = {str(name): int(count) for name, count in strata.value_counts().items()}
        drawn = allocate(sizes, coded)
        labels, chances = {}, {}
        uris = self.posts["uri"].to_numpy()
        for name, count in drawn.items():
            members = np.flatnonzero(strata == name)
            for number in dice.choice(members, count, replace=False):
                uri = uris[number]
                labels[uri] = "left" if self.truth[number] else "not_sociopolitical"
                chances[uri] = count / sizes[name]
        return People("sample-simulated", labels, chances)


def mistaken(
    truth: Floats, link: Floats, dice: np.random.Generator, accuracy: float, tilt: float
) -> Floats:
    """What is said by one of that accuracy, who without a link misses political posts by `tilt`
    more and with one takes as many others for political."""
    wrong = np.where(link > 0, tilt * (1 - 2 * truth), tilt * (2 * truth - 1))
    errs = dice.random(len(truth)) < np.clip(1 - accuracy + wrong, 0.0, 1.0)
    return np.where(errs, 1 - truth, truth)


def studied(
    dice: np.random.Generator, world: World, *, posts: int, accuracy: float, tilt: float = 0.08
) -> Studied:
    """`posts` of a week, labelled by a model of that accuracy: worse by `tilt` without a link, and
    better with one, and erring towards political where there is one."""
    authors = dice.integers(0, posts // 3, posts)
    link = (dice.random(posts) < 0.5).astype(float)
    day = dice.integers(0, DAYS, posts).astype(float)
    common = dice.standard_normal(posts // 3)[authors]
    truth = (dice.random(posts) < world.chance(link, day, common)).astype(float)
    says = mistaken(truth, link, dice, accuracy, tilt)
    label = np.where(says > 0, "left", "not_sociopolitical")
    frame = pd.DataFrame(
        {
            "uri": [f"at://did:plc:{author}/post/{n}" for n, author in enumerate(authors)],
            "author": authors.astype(str),
            "label": label,
            "has_link": link > 0,
            "day": day,
        }
    )
    return Studied(frame, truth)
