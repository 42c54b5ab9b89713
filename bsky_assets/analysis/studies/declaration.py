"""What a study file states: days, population, codebook, models, sample, estimators, level.

What does not belong here: whether it was stated in time; see `register`.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bsky_assets.analysis.estimating.formula import UnusableFormula, check_formula
from bsky_assets.analysis.estimating.outcomes import BUILT_IN as POLITICS
from bsky_assets.analysis.estimating.outcomes import Outcomes, outcomes_of
from bsky_assets.analysis.estimating.population import COVARIATES
from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import BUILT_IN
from bsky_assets.errors import UserError
from bsky_assets.labelling.day import prompt_of, row_of
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import NoSuchDay, parse_days

KINDS = ("share", "difference", "trend", "formula")


class UnusableStudy(UserError):
    """A study file cannot be read, or states too little or what there is not."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodebookUsed(_Part):
    """By what posts are labelled."""

    name: str
    prompt_version: str
    outcomes: Annotated[
        dict[str, tuple[str, ...]] | None, Field(exclude_if=lambda stated: stated is None)
    ] = None
    """What can be estimated, by name the answers that count for it; None: that of llm_labels."""

    @model_validator(mode="after")
    def _has_outcomes(self) -> Self:
        if (self.name == BUILT_IN) is not (self.outcomes is None):
            raise ValueError(f"outcomes are stated of any codebook but {BUILT_IN}")
        return self

    @property
    def own(self) -> str | None:
        """The name of a codebook of one's own."""
        return None if self.outcomes is None else self.name

    @property
    def all_outcomes(self) -> Outcomes:
        """What can be estimated."""
        if self.outcomes is None:
            return POLITICS
        return Outcomes(f"labels_{self.name}", self.outcomes)


class SampleDrawn(_Part):
    """The labelled posts that people code."""

    size: int = Field(ge=2)
    seed: int
    strata: tuple[Literal["label", "day", "context", "score", "confidence"], ...] = ("label",)
    coders: tuple[str, ...] = Field(min_length=1)


class Estimator(_Part):
    """One estimate: a share, a difference by a column, a trend, or a formula."""

    share: str | None = None
    difference: str | None = None
    by: str | None = None
    trend: str | None = None
    formula: str | None = None
    model: Literal["linear", "logistic"] = "linear"

    @model_validator(mode="after")
    def _one(self) -> "Estimator":
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"state one of {', '.join(KINDS)}")
        if (self.difference is None) is not (self.by is None):
            raise ValueError("difference and by go together")
        return self

    @property
    def as_formula(self) -> str:
        """The same as a formula."""
        if self.difference is not None:
            return f"{self.difference} ~ C({self.by})"
        if self.trend is not None:
            return f"{self.trend} ~ day"
        return self.share or self.formula or ""


class Study(_Part):
    """What is declared before there are labels, and held against what was done."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    days: str
    level: Literal["dehydrated", "restricted"]
    models: tuple[str, ...] = Field(min_length=1)
    student: bool = False
    population: dict[str, bool | int | str]
    codebook: CodebookUsed
    sample: SampleDrawn
    estimates: tuple[Estimator, ...] = Field(min_length=1)

    def row(self, settings: Settings) -> type[Row]:
        """The contract of the labels that it is about.

        Raises:
            UserError: its codebook is not there.
        """
        return row_of(Lake.of(settings), self.codebook.own)

    @property
    def hash(self) -> str:
        """SHA-256 of all that is stated, however the file is laid out."""
        stated = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(stated).hexdigest()


def read_study(path: Path) -> Study:
    """The declaration in the file at `path`.

    Raises:
        UnusableStudy: it cannot be read; each key that is missing or unknown is a line.
    """
    try:
        stated = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UnusableStudy(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UnusableStudy(f"{path.name} is not TOML in UTF-8: {error}") from None
    try:
        study = Study.model_validate(stated)
    except ValidationError as error:
        problems = [_told(one) for one in error.errors(include_url=False)]
        raise UnusableStudy("\n".join(f"{path.name}: {problem}" for problem in problems)) from None
    if problems := [*_misfits(study.population), *_unknown(study)]:
        raise UnusableStudy("\n".join(f"{path.name}: {problem}" for problem in problems))
    return study


def _told(error: Any) -> str:
    where = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] == "extra_forbidden":
        return f"there is no key {where[:80]!r}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def _misfits(population: dict[str, bool | int | str]) -> Iterator[str]:
    for column, value in population.items():
        wanted = _type_of(column)
        if column not in COVARIATES:
            known = ", ".join(COVARIATES)
            yield f"population: there is no column {column[:40]!r}; there are {known}"
        elif type(value) is not wanted:
            yield f"population.{column}: {value!r} is no {wanted.__name__}"


def _unknown(study: Study) -> Iterator[str]:
    """Formulas that name what there is not."""
    for number, one in enumerate(study.estimates):
        try:
            check_formula(one.as_formula, study.codebook.all_outcomes)
        except UnusableFormula as problem:
            yield f"estimates.{number}: {problem}"


def _type_of(column: str) -> type:
    if column.startswith(("has_", "is_")):
        return bool
    return str if column == "source" else int


def against_settings(study: Study, settings: Settings) -> list[str]:
    """What of a declaration is not so here, a line each."""
    problems = []
    try:
        parse_days(study.days, settings.timezone)
    except NoSuchDay as problem:
        problems.append(f"days: {problem}")
    if study.models != settings.llm_models:
        problems.append(
            f"models: {', '.join(study.models)} are stated, and BSKY_LLM_MODELS is "
            f"{','.join(settings.llm_models)}"
        )
    try:
        row = study.row(settings)
    except UserError as problem:
        return [*problems, f"codebook.name: {problem}"]
    if study.codebook.all_outcomes != outcomes_of(row):
        told = ", ".join(outcomes_of(row).answers)
        problems.append(f"codebook.outcomes: others are stated than {row.asset} has: {told}")
    in_force = prompt_of(settings, row).version
    if study.codebook.prompt_version != in_force:
        problems.append(
            f"codebook.prompt_version: {study.codebook.prompt_version[:40]!r} is stated, and the "
            f"prompt in force is {in_force!r}"
        )
    return problems


def template(name: str, days: str, settings: Settings, codebook: str | None = None) -> str:
    """A study file for the models and the prompt in force, about `llm_labels` or `codebook`.

    Raises:
        CannotBeEstimated: people cannot code the codebook's answers.
        UserError: there is no such codebook.
    """
    row = row_of(Lake.of(settings), codebook)
    answers = outcomes_of(row).answers
    first = next(iter(answers))
    stated = "".join(f"{quoted(name)} = {quoted(values)}\n" for name, values in answers.items())
    outcomes = f"\n[codebook.outcomes]\n{stated}" if row is not LlmLabel else ""
    return f"""\
name = {quoted(name)}
days = {quoted(days)}
# dehydrated: a sealed folder has addresses and labels; restricted: it is not sealed
level = "dehydrated"
models = {quoted(settings.llm_models)}

[population]
# Of the labelled posts those with, say, is_reply = false; nothing here: all.

[codebook]
name = {quoted(codebook or BUILT_IN)}
prompt_version = "{prompt_of(settings, row).version}"
{outcomes}
[sample]
size = 200
seed = 1
strata = ["label"]
coders = ["ada"]

[[estimates]]
share = "{first}"

[[estimates]]
formula = "{first} ~ has_link"
"""


def quoted(value: object) -> str:
    """A text, or a list of texts, as TOML has it."""
    return orjson.dumps(value).decode()
