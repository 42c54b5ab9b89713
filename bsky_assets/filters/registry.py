"""Which filters there are: found by their files in `judging`, declared in the TOML of each.

A filter is `judging/<name>.py`, which has `make(config, sources)`, and `judging/<name>.toml`: what
it is (`Declaration`), its configuration, its word lists and rules, its canaries. Everything else
follows: its place in the chain, the column of its verdict, its version, training, evaluation.
What belongs here: reading declarations. What does not: judging, and what the words mean.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bsky_assets.contracts.verdicts import declarations
from bsky_assets.filters.verdicts import Filter

_MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Sources:
    """The files outside the package's own lists that filters are made from."""

    language_model: Path
    trained: dict[str, Path]
    """Models that the user trained, by filter."""
    languages: tuple[str, ...] = ()
    """Those besides English whose posts all filters judge."""


class Section(BaseModel):
    """A part of a filter's file: nothing in it that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Canaries(Section):
    """Texts of which the answer is known, and how long the lists are that they rest on."""

    stopped: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    entries: Mapping[str, int] = {}
    """How many entries each list has at least."""


class Declaration(Section):
    """What a filter says of itself."""

    name: str
    position: int
    """In the chain; `english` comes first, since the others read English."""
    on: bool = True
    description: str
    reads: tuple[str, ...]
    """Columns, `asset.column`, that it reads besides those of the filters before it."""
    reasons: Mapping[str, str]
    """What its reason codes mean."""
    labels: tuple[str, ...] = ()
    """Values of moderation labels that stop a post."""
    judges_text: bool = True
    """Whether a text alone says anything to it, so that it can be measured on texts."""
    trained_from: float | None = Field(None, gt=0.5, le=1)
    """The probability from which a model that a user trained stops a post; null: it takes none."""
    data_stop: tuple[str, ...] = ()
    """What labels of published data sets are called that mean: stop."""
    data_pass: tuple[str, ...] = ()
    """And those that mean: let through."""
    config: Mapping[str, Any] = {}
    canaries: Canaries

    def make(self, sources: Sources) -> Filter:
        """The filter itself.

        Raises:
            Exception: whatever its file raises over a list or model that cannot be used.
        """
        made: Filter = import_module(f"bsky_assets.filters.judging.{self.name}").make(
            self.config, sources
        )
        return made


@cache
def declared() -> tuple[Declaration, ...]:
    """Every filter, in the order of the chain.

    Raises:
        pydantic.ValidationError: a declaration cannot be used.
        ValueError: `english` does not come first.
    """
    found = tuple(
        Declaration.model_validate(
            {
                "name": name,
                "config": table.get("config", {}),
                "reasons": table.get("reasons", {}),
                "canaries": table.get("canaries", {}),
                **table["filter"],
            }
        )
        for name, table in declarations().items()
    )
    if found[0].name != "english":
        raise ValueError(f"{found[0].name} comes before english, which it needs")
    return found


def chain() -> tuple[Declaration, ...]:
    """The filters in force."""
    return tuple(one for one in declared() if one.on)


def declaration(name: str) -> Declaration | None:
    """The filter of that name, if there is one."""
    return next((one for one in declared() if one.name == name), None)


def list_sizes(name: str) -> Iterator[tuple[str, int]]:
    """How many entries each list in a filter's file has, by its place in it, and its weights."""
    for key, value in declarations()[name].items():
        if key not in ("filter", "config", "reasons", "canaries"):
            yield from _sizes(key, value)
    if weights_path(name).exists():
        lines = weights_path(name).read_text().splitlines()
        yield "weights", sum(not line.startswith("#") for line in lines)


def weights_path(name: str) -> Path:
    """Where the weights of a filter's signs are, if it has some."""
    return _MODELS / f"{name}.tsv"


def _sizes(place: str, value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, str):
        yield place, len(value.split())
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _sizes(f"{place}.{key}", inner)
    elif isinstance(value, list):
        yield place, len(value)
        for inner in value:
            if isinstance(inner, Mapping) and "terms" in inner:
                yield f"{place}.{inner['name']}", len(inner["terms"])
