"""Answers to codebooks in SQL, whatever their type."""

from collections.abc import Iterable, Sequence

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.labelling.asking.answers import NONE, NOT_SOCIOPOLITICAL
from bsky_assets.storage.sql import literal


def answer_as_text(row: type[Row]) -> str:
    """SQL for the answer of a label of `row` as one word, as the codebook has it."""
    if not issubclass(row, CodebookLabel):
        return f"coalesce(political_ideology, {literal(NOT_SOCIOPOLITICAL)})"
    kind = row.codebook.answer.type
    if kind == "boolean":
        return "CASE WHEN answer THEN 'yes' ELSE 'no' END"
    return "array_to_string(answer, ' + ')" if kind == "several_of" else "answer::VARCHAR"


def as_people_have_it(row: type[Row]) -> str:
    """SQL for a label of `row` as the files of people who label have it."""
    if row is LlmLabel:
        return f"coalesce(political_ideology, {literal(NONE)})"
    return answer_as_text(row)


def has_answer(row: type[Row], answers: Sequence[str]) -> str:
    """SQL that says whether a label of `row` has one of `answers`."""
    if issubclass(row, CodebookLabel) and row.codebook.answer.type == "several_of":
        return f"list_has_any(answer, [{listed(answers)}])"
    return f"{answer_as_text(row)} IN ({listed(answers)})"


def listed(values: Iterable[str]) -> str:
    """SQL for texts in a list."""
    return ", ".join(map(literal, values))
