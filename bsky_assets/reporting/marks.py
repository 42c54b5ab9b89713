"""What a reader must know of a whole day before any number: made up, not over, not labelled."""

from collections.abc import Iterator

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.details import FilterDetails, LabelDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Notice
from bsky_assets.sync_day import bounds

_SANDBOX_MODEL = "sandbox"


def marks(day: StoredDay) -> Iterator[Notice]:
    """The marks of a day, the gravest first."""
    yield from _damage(day)
    models = day.labels.told(LabelDetails).models if day.labels else ()
    if any(each.model == _SANDBOX_MODEL for each in models):
        yield Notice(
            "",
            "Made up: the labels are by `sandbox`, which is no language model; it knows the "
            "answers to posts that it made up itself.",
            "Use no number of this page. `make live` collects the real network.",
        )
    if not day.is_over:
        end = bounds(day.day, day.settings.timezone)[1].astimezone(day.settings.timezone)
        yield Notice(
            "",
            f"This day is not over: it ends at {end:%Y-%m-%d %H:%M}.",
            "Do not compare its counts with those of whole days yet; its shares may still move.",
        )
    if day.lacks:
        yield Notice(
            "",
            f"Not yet in this report: {'; '.join(day.lacks)}.",
            "The sensor `follow_inputs` takes it in; by hand: "
            f"`bsky-assets materialize --day {day.day}`.",
        )
    yield from _missing_labels(day)


def _damage(day: StoredDay) -> Iterator[Notice]:
    for asset, problem in day.damaged.items():
        name = str(problem.path).rpartition("/")[2]
        yield Notice(
            asset,
            f"Damaged: {asset} on {day.day}, and nothing on this page counts it: {name} cannot be "
            f"read ({problem.reason}).",
            "`bsky-assets doctor` says what it can be made again from.",
            is_error=True,
        )


def _missing_labels(day: StoredDay) -> Iterator[Notice]:
    if day.filtered and not day.filtered.told(FilterDetails).passed:
        yield Notice(
            "filtered_posts",
            "No post passed the filters, so that there is nothing to label.",
            "The table of filters below says what stopped them.",
        )
    elif day.filtered and day.labels is None and LlmLabel.asset not in day.damaged:
        yield Notice(
            "llm_labels",
            "No labels yet: how many posts are political is not known.",
            f"Make them: `bsky-assets materialize --day {day.day} --select 'llm_labels+'`.",
        )
