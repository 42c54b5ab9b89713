"""Canaries: posts of which every filter must say what it has always said.

They run before a day, through the same filters, and stop it when one flips: a word list gone
empty, a model file cut short, a comparison that no longer matches. Each filter's file has its own.
In a process that filters many days they run again when anything that verdicts depend on is another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bsky_assets.contracts.verdicts import declarations
from bsky_assets.filters.config import config_version
from bsky_assets.filters.judge import FilterFailed, judged, make_filter, sources
from bsky_assets.filters.measuring import canary_day
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.registry import Declaration, chain, list_sizes
from bsky_assets.filters.verdicts import Filter
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.connection import in_memory


@dataclass(frozen=True)
class CanaryFailure:
    """A filter that says something else of a canary than it must."""

    filter: str
    canary: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"filter {self.filter}: canary {self.canary!r} should be {self.expected}, "
            f"is {self.found}"
        )


class CanariesFailed(RuntimeError):
    """At least one canary flipped; the message names each filter."""


_sound: set[str] = set()
"""Versions of filters of which every canary said what it must; to ask them takes a second."""


def require(settings: Settings) -> None:
    """Go on only if every canary says what it must.

    Raises:
        CanariesFailed: at least one does not.
    """
    version = config_version(settings)
    if version in _sound:
        return
    if failures := check(settings):
        raise CanariesFailed("; ".join(str(failure) for failure in failures))
    _sound.add(version)


def check(settings: Settings | None = None) -> list[CanaryFailure]:
    """Ask every filter of the chain about its canaries; the failures, none if all is well."""
    made_from = sources(settings or get_settings())
    failures: list[CanaryFailure] = []
    for one in chain():
        failures += check_lists(one)
        try:
            failures += check_texts(one, make_filter(one, made_from))
        except FilterFailed as error:
            failures.append(CanaryFailure(one.name, "any", "judged", str(error)))
    return failures + _check_facts()


def check_lists(one: Declaration) -> Iterator[CanaryFailure]:
    """Lists that have lost entries, or whose length nobody stated."""
    stated = one.canaries.entries
    for place, entries in list_sizes(one.name):
        least = stated.get(place)
        if least is None or entries < least:
            yield CanaryFailure(
                one.name,
                f"list {place}",
                f"of {least or 'a stated number of'} entries",
                str(entries),
            )


def _check_facts() -> list[CanaryFailure]:
    """What the facts of a day must say of the posts of a made-up one."""
    with in_memory() as con:
        found = canary_day.reasons(con)
    return [
        CanaryFailure(canary.filter, canary.name, str(canary.reason), str(reason))
        for canary in canary_day.CANARIES
        if (reason := found.get((canary.filter, canary.name))) != canary.reason
    ]


def check_texts(declared: Declaration, one: Filter) -> list[CanaryFailure]:
    """The texts that a filter must stop, and those that it must let through.

    Beside each rule of a filter stands one of both.
    """
    rules = [
        rule
        for key in ("rules", "excuses", "signs")
        for rule in declarations()[declared.name].get(key, ())
        if "stops" in rule
    ]
    failures = []
    for expected, texts in (
        ("stopped", [*declared.canaries.stopped, *(rule["stops"] for rule in rules)]),
        ("passed", [*declared.canaries.passed, *(rule["passes"] for rule in rules)]),
    ):
        reasons = judged(one, from_texts(texts)).reasons.to_pylist()
        failures += [
            CanaryFailure(one.name, text, expected, f"stopped by {reason}" if reason else "passed")
            for text, reason in zip(texts, reasons, strict=True)
            if (reason is None) != (expected == "passed")
        ]
    return failures
