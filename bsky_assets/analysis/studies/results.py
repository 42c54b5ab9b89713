"""The numbers of a study: of rows that hold all that they depend on, here as in a sealed folder."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import orjson
import pyarrow as pa

from bsky_assets.analysis.estimating.estimates import (
    add_student,
    check_drawn,
    estimated,
    labelled_of,
)
from bsky_assets.analysis.estimating.outcomes import Outcomes
from bsky_assets.analysis.estimating.people import People, people_of
from bsky_assets.analysis.estimating.population import population
from bsky_assets.analysis.studies.declaration import Study
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings

PEOPLE, PEOPLE_CHANCE = "people", "people_chance"
_NOT_DECLARED = "not declared"


class EmptyPopulation(UserError):
    """No labelled post is of the population of a study."""


def rows_of(settings: Settings, study: Study, days: Sequence[date], sample: str) -> pa.Table:
    """A row for each post of the population: address, author, label, columns, chances, people.

    Raises:
        NotCorrected: people's labels do not carry it.
        NothingToEstimate: there are no labelled posts.
        EmptyPopulation: none is of the population.
        NoStudent: there is none, and the study wants one.
    """
    row = study.row(settings)
    people, posts = people_of(settings, days, sample, row.asset), population(settings, days, row)
    if study.student:
        add_student(posts, settings, days, people.sample)
    check_drawn(people, labelled_of(posts))
    for column, value in study.population.items():
        posts = posts[posts[column] == value]
    if posts["label"].isna().all():
        raise EmptyPopulation(f"no labelled post is of the population of {study.name}")
    posts = posts.reset_index(drop=True)
    posts[PEOPLE] = posts["uri"].map(people.labels).astype("string")
    posts[PEOPLE_CHANCE] = posts["uri"].map(people.chances).astype(float)
    return pa.Table.from_pandas(posts, preserve_index=False).replace_schema_metadata()


def asked_of(
    study: Study, exploratory: str | None, also: Iterable[tuple[str, str]] = ()
) -> list[dict[str, Any]]:
    """Formula, model and standing of each estimate: the declared ones, and those of `also`."""
    declared = [(each.as_formula, each.model) for each in study.estimates]
    return [
        *({"formula": f, "model": m, "exploratory": exploratory} for f, m in declared),
        *(
            {"formula": f, "model": m, "exploratory": exploratory or _NOT_DECLARED}
            for f, m in also
            if (f, m) not in declared
        ),
    ]


def numbers_of(
    rows: pa.Table,
    asked: Iterable[dict[str, Any]],
    sample: str,
    days: Sequence[date],
    outcomes: Outcomes,
) -> list[dict[str, Any]]:
    """What was asked for with its numbers, as JSON would have it.

    Raises:
        UserError: one of them cannot be estimated from these rows.
    """
    posts = rows.to_pandas()
    said = posts[posts[PEOPLE].notna()]
    people = People(
        sample,
        dict(zip(said["uri"], said[PEOPLE], strict=True)),
        dict(zip(said["uri"], said[PEOPLE_CHANCE], strict=True)),
    )
    found = []
    for one in asked:
        again = estimated(one["formula"], posts, people, days, one["model"], outcomes)
        found.append({**one, "found": asdict(again)})
    told: list[dict[str, Any]] = orjson.loads(orjson.dumps(found))
    return told
