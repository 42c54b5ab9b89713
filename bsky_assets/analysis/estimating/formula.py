"""Formulas: what of patsy's language is taken, and the columns that come of it.

A formula is a file's or a person's text, and patsy would run any Python in it. So no more is let
through than names of columns, numbers, `C(…)` and the operators of formulas.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bsky_assets.analysis.estimating.outcomes import BUILT_IN, Outcomes
from bsky_assets.analysis.estimating.population import COVARIATES
from bsky_assets.errors import UserError

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|(\d{1,6}|[-+*:/()~]))")


class UnusableFormula(UserError):
    """A formula names what is not there, or is none."""


@dataclass(frozen=True, slots=True)
class Design:
    """The design matrix of a formula."""

    outcome: str
    names: tuple[str, ...]
    matrix: npt.NDArray[np.float64]
    """One row a post, one column a name."""


def outcome_of(formula: str, outcomes: Outcomes = BUILT_IN) -> str:
    """What stands before the `~`, or alone.

    Raises:
        UnusableFormula: it is no outcome.
    """
    outcome = formula.partition("~")[0].strip()
    if outcome not in outcomes.answers:
        raise UnusableFormula(
            f"{outcome[:40]!r} cannot be estimated; there are {', '.join(outcomes.answers)}"
        )
    return outcome


def check_formula(formula: str, outcomes: Outcomes = BUILT_IN) -> None:
    """See that `formula` names nothing but an outcome and columns that there are.

    Raises:
        UnusableFormula: it does.
    """
    outcome_of(formula, outcomes)
    _check(formula.partition("~")[2])


def design_of(formula: str, posts: pd.DataFrame, outcomes: Outcomes = BUILT_IN) -> Design:
    """The matrix of `formula`, as `political ~ has_link + C(hour)`; `political` alone is its share.

    Raises:
        UnusableFormula: it names a column that there is not, cannot be read, or its columns
            depend on each other in these posts.
    """
    import patsy

    outcome, _, right = formula.partition("~")
    outcome = outcome_of(formula, outcomes)
    right = right.strip() or "1"
    _check(right)
    try:
        matrix = patsy.dmatrix(right, posts, return_type="matrix")
    except patsy.PatsyError as error:
        raise UnusableFormula(
            f"cannot read {right[:80]!r}: {str(error).partition(chr(10))[0]}"
        ) from None
    values = np.asarray(matrix, dtype=float)
    if values.shape[1] == 0 or np.linalg.matrix_rank(values.T @ values) < values.shape[1]:
        raise UnusableFormula(
            f"the columns of {right[:80]!r} depend on each other in these posts; leave one out"
        )
    return Design(outcome, tuple(matrix.design_info.column_names), values)


def _check(right: str) -> None:
    place = 0
    right = right.rstrip()
    while place < len(right):
        token = _TOKEN.match(right, place)
        if token is None:
            raise UnusableFormula(f"{right[place:][:20]!r} cannot stand in a formula")
        name = token[1]
        if (
            name is not None
            and name not in COVARIATES
            and (name, right[token.end() :][:1])
            != (
                "C",
                "(",
            )
        ):
            raise UnusableFormula(f"there is no column {name[:40]!r}; there are {_known()}")
        place = token.end()


def _known() -> str:
    return ", ".join(COVARIATES)
