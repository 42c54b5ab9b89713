"""What every partition may say of itself: what decided its rows, and what became of them since."""

import hashlib
import json
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Details, or a record within them; what another version of the model said besides is kept."""

    # What validates is built when it is first used: a process reads details of few assets.
    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Since(Part):
    """Rows that left a partition, when it was maintained."""

    at: str
    posts_by_reason: dict[str, int]


class Rewriting(Part):
    """A partition was written under a newer contract."""

    contract: str
    """The one that it had."""
    rewritten_at: str


class Details(Part):
    """What its maker says of a partition; a field that it did not know of has its default.

    A field is added with a default, and another version of the model is kept as a sample, which
    the tests read with the model of today.
    """

    merge_version: str | None = None
    reader_versions: tuple[str, ...] = ()
    consolidation_version: str | None = None
    filter_version: str | None = None
    prompt_version: str | None = None
    schema_version: str | None = None
    labelling_version: str | None = None
    migrated_from: tuple[str, ...] = ()
    """Names of the files that its rows were loaded from."""
    removed_since: tuple[Since, ...] = ()
    rewritten: tuple[Rewriting, ...] = ()
    erased_at: str | None = None
    """When words of deleted posts were last erased from it."""

    def versions(self) -> dict[str, str]:
        """Versions of what decided the rows besides contracts, by name; what is not told is not."""
        told = {name: getattr(self, name, None) for name in _VERSIONS}
        return {
            name: version if isinstance(version, str) else ", ".join(version)
            for name, version in told.items()
            if version
        }

    def stored(self) -> dict[str, Any]:
        """What was told, as JSON has it; defaults that nobody gave are left out."""
        return self.model_dump(mode="json", exclude_unset=True)


_VERSIONS = (
    "merge_version",
    "reader_versions",
    "consolidation_version",
    "filter_version",
    "prompt_version",
    "schema_version",
    "labelling_version",
    "overruled_by",  # of labels alone
)


@cache
def details_version(model: type[Details]) -> str:
    """Twelve hex digits that change when a field's name, type or default does."""
    schema = json.dumps(_without_words(model.model_json_schema()), sort_keys=True)
    return hashlib.sha256(schema.encode()).hexdigest()[:12]


def _without_words(schema: Any) -> Any:
    if isinstance(schema, dict):
        words = ("description", "title")
        return {
            name: _without_words(part)
            for name, part in schema.items()
            if not (name in words and isinstance(part, str))
        }
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema
