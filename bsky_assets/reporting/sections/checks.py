"""What the checks of the day came to; those that failed are notices, with what to do."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bsky_assets.reporting.day import CheckOutcome, StoredDay
from bsky_assets.reporting.page import Notice, Section, Text
from bsky_assets.reporting.remedies import remedy


def section(day: StoredDay) -> Section:
    """How many checks passed, which, and a notice for each that did not."""
    if not day.checks:
        return Section("checks", "Do the checks pass?", (Text(("No check was made.",)),))
    failed = [check for check in day.checks if not (check.passed or check.is_empty)]
    said = Text(tuple(_sentences(day.checks, len(failed))))
    return Section("checks", "Do the checks pass?", (said,), tuple(map(_notice, failed)))


def _sentences(checks: Sequence[CheckOutcome], failed: int) -> Iterator[int | str]:
    passed = [check for check in checks if check.passed]
    empty = [check for check in checks if check.is_empty and not check.passed]
    yield from (len(passed), " of ", len(checks), " passed. ")
    if failed:
        yield "Those that did not are told of above, each with what to do. "
    yield f"Passed: {_names(passed) or 'none'}. "
    if empty:
        told = "; ".join(f"{_words(check.name)}: {check.said}" for check in empty)
        yield f"Not made: {told}."


def _names(checks: Iterable[CheckOutcome]) -> str:
    counted = Counter(_words(check.name) for check in checks)
    names = (f"{name} (of {n} assets)" if n > 1 else name for name, n in counted.items())
    return ", ".join(names)


def _notice(check: CheckOutcome) -> Notice:
    what = f"Check “{_words(check.name)}” did not pass: {check.said}"
    return Notice(check.asset, what, remedy(check.name), check.is_error)


def _words(name: str) -> str:
    return name.replace("_", " ")
