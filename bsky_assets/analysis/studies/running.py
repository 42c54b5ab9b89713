"""What is done for a study once its days are labelled: its sample drawn, and its numbers found."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from bsky_assets.analysis.coding.items import words
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.coding.room import Room, decided, disputed, open_room
from bsky_assets.analysis.studies.declaration import Study
from bsky_assets.analysis.studies.register import RESULTS, Registration, folder_of, note_sample
from bsky_assets.analysis.studies.results import asked_of, numbers_of, rows_of
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.settings import Settings
from bsky_assets.storage.files import write_json
from bsky_assets.storage.lake import Lake


def days_to_label(settings: Settings, study: Study, days: Sequence[date]) -> list[date]:
    """The days without labels by the model of record and the prompt that are stated."""
    lake, wanted = Lake.of(settings), (study.codebook.prompt_version, study.models[0])
    row = study.row(settings)
    missing = []
    for day in days:
        partition = lake.current(row, day)
        told = partition.told(LabelDetails) if partition else None
        models = told.models if told else ()
        if not told or not models or (told.prompt_version, models[0].model) != wanted:
            missing.append(day)
    return missing


def sample_of(
    settings: Settings, study: Study, entry: Registration, days: Sequence[date]
) -> tuple[Registration, Room]:
    """The sample that people code for the study, drawn by its size, strata and seed.

    Raises:
        NothingToSample: no post of the days is labelled.
        CannotBeCoded: the coders do not fit.
    """
    if entry.sample:
        return entry, open_room(settings, entry.sample)
    stated = study.sample
    draw = Draw(days, stated.size, stated.strata, stated.seed, study.row(settings))
    room = room_of_draw(settings, draw, stated.coders)
    return note_sample(settings, study, entry, room.name), room


def uncoded(settings: Settings, room: Room) -> int:
    """Posts of the sample that are there still and that nobody coded."""
    there = words(settings, room.days, room.items.values(), room.codebook.asset).keys()
    return len(there - decided(room).keys() - disputed(room).keys())


def found_by(
    settings: Settings,
    study: Study,
    entry: Registration,
    room: Room,
    also: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """The results of the study, which are kept beside its registration.

    Raises:
        UserError: they cannot be estimated.
    """
    rows = rows_of(settings, study, room.days, room.name)
    results = {
        "study": study.name,
        "declaration": study.model_dump(mode="json"),
        "declaration_hash": study.hash,
        "registered_at": entry.at,
        "exploratory": entry.exploratory,
        "days": [str(day) for day in room.days],
        "sample": {"name": room.name, "seed": study.sample.seed, "strata": dict(room.sizes)},
        "prompt_version": study.codebook.prompt_version,
        "estimates": numbers_of(
            rows,
            asked_of(study, entry.exploratory, also),
            room.name,
            room.days,
            study.codebook.all_outcomes,
        ),
    }
    write_json(folder_of(settings, study) / RESULTS, results)
    return results
