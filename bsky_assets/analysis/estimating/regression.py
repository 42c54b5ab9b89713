"""Linear and logistic regression on outcomes corrected by design, with errors clustered by author.

Posts of one author are alike, so that errors are of authors and not of posts. The linear model and
its clustered errors are those of statsmodels. The logistic one solves the same moments as usual, in
which the outcome stands linearly, so that a corrected outcome may stand there though it is neither
0 nor 1 (Egami et al., 2023); statsmodels refuses such outcomes. Intervals are Student's, with the
coded posts less the coefficients for degrees of freedom: what people said is what is scarce.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, stdtr, stdtrit

from bsky_assets.analysis.estimating.correcting import Corrected
from bsky_assets.errors import UserError
from bsky_assets.labelling.statistics.metrics import LEVEL, Estimate

LINEAR, LOGISTIC = "linear", "logistic"
_STEPS = 50
_CLOSE = 1e-6
"""A step that moves no post's log odds by more is the last."""

Floats = npt.NDArray[np.float64]


class CannotBeFitted(UserError):
    """A regression has no solution on these posts."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients and their covariance."""

    values: Floats
    covariance: Floats
    freedom: float

    def estimate(self, number: int) -> Estimate:
        """One coefficient with its interval."""
        value, error = float(self.values[number]), float(self.covariance[number, number] ** 0.5)
        margin = float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * error
        return Estimate(value, value - margin, value + margin)

    def p_value(self, number: int) -> float:
        """Of the hypothesis that the coefficient is nought, on two sides."""
        error = float(self.covariance[number, number] ** 0.5)
        ratio = abs(float(self.values[number])) / error if error else np.inf
        return float(2 * stdtr(self.freedom, -ratio))


def fit(
    kind: str,
    outcome: Floats,
    matrix: Floats,
    authors: npt.NDArray[np.int_],
    freedom: float,
    counts: Floats | None = None,
) -> Fit:
    """Regress `outcome` on the columns of `matrix`, by the model of `kind`.

    `counts` has for how many posts each row stands; one where there are none.

    Raises:
        CannotBeFitted: the logistic model has no solution, or all posts are of one author.
    """
    if authors.min() == authors.max():
        raise CannotBeFitted(
            "all posts are of one author, which says nothing of others; take more days or posts"
        )
    counts = np.ones(len(outcome)) if counts is None else counts
    if kind == LINEAR:
        return _linear(outcome, matrix, authors, freedom, counts)
    counted = matrix * counts[:, None]
    values = _logistic(outcome, matrix, counted)
    chance = expit(matrix @ values)
    bread = np.linalg.inv(counted.T @ (matrix * (chance * (1 - chance))[:, None]))
    scores = _sums(counted * (outcome - chance)[:, None], authors)
    return Fit(values, bread @ (scores.T @ scores) @ bread * _small(authors), freedom)


def fit_corrected(
    kind: str,
    corrected: Corrected,
    matrix: Floats,
    authors: npt.NDArray[np.int_],
    counts: Floats | None = None,
) -> Fit:
    """The same of a corrected outcome, whose error allows for errors that the sample did not show.

    Raises:
        CannotBeFitted: there is no solution, or fewer posts are coded than it takes.
    """
    coded = int(corrected.is_coded.sum())
    freedom = coded - matrix.shape[1]
    if freedom < 1:
        raise CannotBeFitted(
            f"{coded} coded posts do not carry {matrix.shape[1]} coefficients; have more coded"
        )
    found = fit(kind, corrected.outcome, matrix, authors, freedom, counts)
    slope = np.ones(len(matrix)) if counts is None else counts
    if kind == LOGISTIC:
        chance = expit(matrix @ found.values)
        slope = slope * chance * (1 - chance)
    bread = np.linalg.inv(matrix.T @ (matrix * slope[:, None]))
    unseen = (
        matrix[corrected.is_coded]
        * (corrected.weight * np.sqrt(corrected.unseen))[corrected.is_coded][:, None]
    )
    covariance = found.covariance + bread @ (unseen.T @ unseen) @ bread
    return Fit(found.values, covariance * coded / freedom, freedom)


def _linear(
    outcome: Floats,
    matrix: Floats,
    authors: npt.NDArray[np.int_],
    freedom: float,
    counts: Floats,
) -> Fit:
    from statsmodels.regression.linear_model import WLS  # its `api` imports all there is

    found = WLS(outcome, matrix, counts).fit(cov_type="cluster", cov_kwds={"groups": authors})
    return Fit(np.asarray(found.params), np.asarray(found.cov_params()), freedom)


def _logistic(outcome: Floats, matrix: Floats, counted: Floats) -> Floats:
    """Newton's steps to where the scores are nought, each halved until they shrink.

    It ends where steps do, not where scores do: those of a group all of one kind shrink for ever,
    by steps of one. `counted` is the matrix with each row so many times as it counts.
    """

    def score_at(values: Floats) -> Floats:
        return np.asarray(counted.T @ (outcome - expit(matrix @ values)))

    values = np.zeros(matrix.shape[1])
    score = score_at(values)
    for _ in range(_STEPS):
        chance = expit(matrix @ values)
        try:
            step = np.linalg.solve(counted.T @ (matrix * (chance * (1 - chance))[:, None]), score)
        except np.linalg.LinAlgError:
            break
        if np.abs(matrix @ step).max() < _CLOSE:
            return values + step
        values, score = _shorter(score_at, values, step, score)
    raise CannotBeFitted(
        "the logistic model has no solution on these posts: a group has too few coded posts, or "
        "all of one kind; use --model linear, or have more coded"
    )


def _shorter(
    score_at: Callable[[Floats], Floats], values: Floats, step: Floats, score: Floats
) -> tuple[Floats, Floats]:
    size = np.linalg.norm(score)
    for _ in range(20):
        after = score_at(values + step)
        if np.linalg.norm(after) < size:
            break
        step = step / 2
    return values + step, after


def _sums(scores: Floats, authors: npt.NDArray[np.int_]) -> Floats:
    """The scores of each author."""
    total = np.zeros((int(authors.max()) + 1, scores.shape[1]))
    np.add.at(total, authors, scores)
    return total


def _small(authors: npt.NDArray[np.int_]) -> float:
    groups = np.count_nonzero(np.bincount(authors))
    return groups / (groups - 1)
