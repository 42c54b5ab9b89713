"""Whether it has been shown that news helps labels: what `context_effect` found last, by prompt."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import orjson

from bsky_assets.settings import Settings
from bsky_assets.storage.files import make_folder, write_json

if TYPE_CHECKING:
    from bsky_assets.labelling.statistics.paired import Effect

_FILE = "context_proof.json"


def is_gain(found: Effect | None) -> bool:
    """Whether posts coded by people are surely right more often with news."""
    return found is not None and found.gain.low > 0


def keep_proof(settings: Settings, prompt_version: str, day: date, found: Effect | None) -> None:
    """Keep what was found for the model of record and a prompt with news."""
    make_folder(settings.ledger_dir)
    proofs = _proofs(settings)
    proofs[_key(settings, prompt_version)] = {"day": str(day), "is_gain": is_gain(found)}
    write_json(settings.ledger_dir / _FILE, proofs)


def is_proven(settings: Settings, prompt_version: str) -> bool:
    """Whether a gain was found for the model of record and a prompt with news."""
    return bool(_proofs(settings).get(_key(settings, prompt_version), {}).get("is_gain"))


def _key(settings: Settings, prompt_version: str) -> str:
    return f"{settings.label_of_record} {prompt_version}"


def _proofs(settings: Settings) -> dict[str, dict[str, object]]:
    file = settings.ledger_dir / _FILE
    found: dict[str, dict[str, object]] = orjson.loads(file.read_bytes()) if file.is_file() else {}
    return found
