"""What can be estimated of posts: whether their label is one of some answers, by name.

Those of `llm_labels` are built in. A codebook of one's own has one for each of its answers, or one
in all where it is answered by yes or no; the names are such that a formula can have them.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import IDEOLOGIES

_NO_LETTER = re.compile(r"\W")


class CannotBeEstimated(UserError):
    """The labels of a codebook cannot be coded in a room."""


@dataclass(frozen=True)
class Outcomes:
    """What can be estimated from the labels in one table."""

    asset: str
    answers: Mapping[str, tuple[str, ...]]
    """By name the answers that count for it."""


BUILT_IN = Outcomes(
    LlmLabel.asset, {"political": IDEOLOGIES, **{side: (side,) for side in IDEOLOGIES}}
)
"""Of `llm_labels`: `political` is any but not_sociopolitical."""


def outcomes_of(row: type[Row]) -> Outcomes:
    """What can be estimated from the labels of `row`.

    Raises:
        CannotBeEstimated: they have not one of several answers.
    """
    if not issubclass(row, CodebookLabel):
        return BUILT_IN
    name, answer = row.codebook.name, row.codebook.answer
    if answer.type in ("several_of", "text"):
        raise CannotBeEstimated(
            f"{name}: its answers are {answer.type}, which people cannot code in a room; nothing "
            "can be estimated from them"
        )
    if answer.type == "boolean":
        return Outcomes(row.asset, {_named(name, name): ("yes",)})
    return Outcomes(row.asset, {_named(name, value): (value,) for value in answer.values})


def _named(codebook: str, value: str) -> str:
    """A name for an answer that can stand in a formula."""
    plain = _NO_LETTER.sub("_", value)
    return plain if plain.isidentifier() else f"{codebook}_{plain}"


def is_one_of(answers: Collection[str], labels: pd.Series) -> npt.NDArray[np.float64]:
    """Whether each label is one of `answers`, as 0 or 1; not a number where there is none."""
    said = labels.isin([*answers]).astype(float).where(labels.notna())
    return np.asarray(said, dtype=np.float64)
