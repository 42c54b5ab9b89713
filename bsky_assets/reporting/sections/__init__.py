"""The sections of a report, a file each, in the order of the page.

What belongs here: a function `section` in each file, which reads a stored day and gives a section
or None, and its entry below. What does not: markup and colours. A day comes in, a section goes out;
one that cannot be read says so, and the others stand.
"""

from collections.abc import Callable

from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Section
from bsky_assets.reporting.sections import (
    answer,
    audit,
    checks,
    codebooks,
    coverage,
    filters,
    funnel,
    labels,
    languages,
    models,
    people,
    quarantine,
    schema,
    sources,
    versions,
)

Maker = Callable[[StoredDay], Section | None]

ANSWER: tuple[Maker, ...] = (answer.section,)
TRUST: tuple[Maker, ...] = (
    coverage.section,
    filters.section,
    audit.section,
    people.section,
    checks.section,
)
DETAILS: tuple[Maker, ...] = (
    labels.section,
    codebooks.section,
    models.section,
    funnel.section,
    audit.by_filter,
    languages.section,
    sources.section,
    quarantine.section,
    schema.section,
    versions.section,
)
