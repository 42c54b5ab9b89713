"""Canaries: posts of which every filter must say what it has always said.

They run before every day, through the same filters, and stop it when one flips: a word list gone
empty, a model file cut short, a comparison that no longer matches. `canaries.toml` has them.
"""

import tomllib
from dataclasses import dataclass

import duckdb

from bsky_assets.filters.config import FOLDER
from bsky_assets.filters.judge import CHAIN, FilterFailed, judged, make_filter, sources
from bsky_assets.filters.measuring import canary_day
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.verdicts import Filter
from bsky_assets.settings import Settings, get_settings


@dataclass(frozen=True)
class CanaryFailure:
    """A filter that says something else of a canary than it must."""

    filter: str
    canary: str
    expected: str
    found: str

    def __str__(self) -> str:
        """The failure in a sentence."""
        return (
            f"filter {self.filter}: canary {self.canary!r} should be {self.expected}, "
            f"is {self.found}"
        )


class CanariesFailed(RuntimeError):
    """At least one canary flipped; the message names each filter."""


def require(settings: Settings) -> None:
    """Go on only if every canary says what it must.

    Raises:
        CanariesFailed: at least one does not.
    """
    if failures := check(settings):
        raise CanariesFailed("; ".join(str(failure) for failure in failures))


def check(settings: Settings | None = None) -> list[CanaryFailure]:
    """Ask every filter of the chain about its canaries; the failures, none if all is well."""
    canaries = tomllib.loads((FOLDER / "measuring" / "canaries.toml").read_text())
    made_from = sources(settings or get_settings())
    failures = []
    for link in CHAIN:
        try:
            one = make_filter(link, made_from)
            failures += _check_texts(one, canaries.get(link.name, {}))
        except FilterFailed as error:
            failures.append(CanaryFailure(link.name, "any", "judged", str(error)))
    return failures + _check_facts()


def _check_facts() -> list[CanaryFailure]:
    """What the facts of a day must say of the posts of a made-up one."""
    with duckdb.connect() as con:
        found = canary_day.reasons(con)
    return [
        CanaryFailure(canary.filter, canary.name, str(canary.reason), str(reason))
        for canary in canary_day.CANARIES
        if (reason := found.get((canary.filter, canary.name))) != canary.reason
    ]


def _check_texts(one: Filter, canaries: dict[str, list[str]]) -> list[CanaryFailure]:
    """The texts that a filter must stop, and those that it must let through."""
    failures = []
    for expected, texts in canaries.items():
        passed = judged(one, from_texts(texts)).passed.to_pylist()
        failures += [
            CanaryFailure(one.name, text, expected, "passed" if let_through else "stopped")
            for text, let_through in zip(texts, passed, strict=True)
            if let_through != (expected == "passed")
        ]
    return failures
