"""Where an export's rows come from: in words for a reader, and whole for a machine.

What belongs here: turning what partitions say of themselves into README.md and provenance.json.
What they say comes from hosts and models too, so every text is escaped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from bsky_assets.contracts import (
    LEDGER,
    FilteredPost,
    RawFeedPost,
    RawFirehosePost,
    Row,
    contract_version,
)
from bsky_assets.contracts.codebooks import holds_labels
from bsky_assets.contracts.details import FeedDetails, FilterDetails, LabelDetails
from bsky_assets.contracts.provenance import PROVENANCE
from bsky_assets.exports.levels import Level, without_people
from bsky_assets.exports.markdown import escaped, table
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_MOST_LISTED_GAPS = 20
_GAP = ("host", "after", "before", "missing", "seconds", "reason")
"""What is said of a gap."""
_READING = ("uri", "read_at", "pages", "items", "repeats", "quarantined", "ended", "problem")
"""What is said of the reading of a feed."""
_OTHERS_WORDS = ("uri", "problem", "reason")
"""Of these, what holds words of others, and stands in restricted exports alone."""
_CSV_NOTE = (
    "In CSV the fields of structs are columns with dotted names, lists are JSON, bytes are Base64, "
    "null is an empty field and an empty text is two quotes. A text that a spreadsheet would take "
    "for a formula (it begins with =, +, -, @, a tab or a line break, apostrophes before it not "
    "counted) has one apostrophe put before it: take one away to have the text as it was."
)
_LEVELS: Mapping[Level, str] = {
    "restricted": "Everything that is stored of these tables, texts and addresses of accounts "
    "among it: for whoever may see the data themselves.",
    "public": "Posts without text, address, content hash, link, tag or picture. A post and an "
    "account stand under pseudonyms, the same in every export under one key, which is not here. "
    "Times are cut to the hour, counts to two digits, and rows are ordered by pseudonym. That "
    "makes it hard to find a person, and not impossible: do not try to.",
    "dehydrated": "The addresses of posts, the hash of the version that was labelled, and labels: "
    "no text. An address names its author's DID. `bsky-assets rehydrate` fetches what "
    "is there still.",
}
_LEFT_OUT = (
    "Of posts that their authors deleted, and of accounts that are gone, there are no rows of "
    "posts or labels here, as far as this was known when the export was made."
)
_LATER: Mapping[Level, str] = {
    "restricted": "What a deleted record held before its key was used again is left out, too. What "
    "is in quarantine, and what models were asked, stands as it came or as maintenance left it. "
    "Honour deletions that come later.",
    "public": "Of deletions that come later nothing here tells: whoever made this can make it "
    "anew without them.",
    "dehydrated": "What is deleted later cannot be fetched any more. Fetch anew before you use "
    "texts that you fetched long ago.",
}

_WEIGH = (
    "Each label of record stands for one over its `selection_chance` posts: shares that are "
    "counted without that weight are wrong. The others were not asked about."
)


@dataclass(frozen=True)
class ExportedFile:
    """A file of rows."""

    row: type[Row]
    path: Path
    rows: int
    bytes: int
    sha256: str
    partitions: Sequence[Partition]
    left_out: Mapping[str, int]
    """Rows of posts that are stored and known to be gone, by reason."""


@dataclass(frozen=True)
class Export:
    """What was written, and when."""

    days: Sequence[date]
    files: Sequence[ExportedFile]
    prompts: Sequence[Mapping[str, Any]]
    """Rows of `LlmPrompt`: the prompts that the labels were given with."""
    made_at: datetime
    timezone: str
    level: Level = "restricted"
    named: int | None = None
    """How many accounts a public export names; None where no setting says which it may."""

    @property
    def span(self) -> str:
        """The days in words."""
        first, last = self.days[0], self.days[-1]
        return str(first) if first == last else f"{first} to {last}"


def provenance(export: Export, lake: Lake) -> bytes:
    """Everything that is known, as JSON."""
    labels = [row for row in lake.rows if holds_labels(row)]
    upstream: list[type[Row]] = [RawFirehosePost, RawFeedPost, FilteredPost, *labels]
    content = {
        "made_by": f"bsky_assets {version('bsky_assets')}",
        "made_at": export.made_at.isoformat(),
        "sync_timezone": export.timezone,
        "days": [day.isoformat() for day in export.days],
        "level": export.level,
        "files": [
            {
                "file": file.path.name,
                "table": file.row.asset,
                "contract": contract_version(file.row),
                "rows": file.rows,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "left_out": dict(file.left_out),
                "partitions": [
                    _described(partition, export.level) for partition in file.partitions
                ],
            }
            for file in export.files
        ],
        "made_from": {
            row.asset: [
                _described(partition, export.level) for partition in _of(lake, row, export.days)
            ]
            for row in upstream
        },
        "prompts": list(export.prompts),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def readme(export: Export, lake: Lake) -> str:
    """The export in words: files, versions, counts, gaps, filters, prompts."""
    sections = (
        _level(export),
        _files(export),
        _partitions(export),
        _deletions(export),
        _firehose(_of(lake, RawFirehosePost, export.days), export),
        _feeds(_of(lake, RawFeedPost, export.days), export.level),
        _filters(_of(lake, FilteredPost, export.days)),
        _labels(_labelled(lake, export.days), export.prompts),
        _terms(),
    )
    head = [
        f"# Bluesky posts, {export.span}",
        "",
        f"Made by bsky\\_assets {escaped(version('bsky_assets'))} on "
        f"{export.made_at:%Y-%m-%d %H:%M} UTC. A sync day is the day, in the timezone "
        f"{escaped(export.timezone)}, on which a row was received.",
    ]
    told = [section for section in (head, *sections) if section]
    return "\n".join(line for section in told for line in (*section, ""))


def _of(lake: Lake, row: type[Row], days: Sequence[date]) -> list[Partition]:
    return [partition for partition in lake.partitions(row) if partition.day in days]


def _described(partition: Partition, level: Level) -> dict[str, Any]:
    details = dict(partition.details)
    return {
        "dataset": partition.dataset,
        "day": partition.day.isoformat(),
        "rows": partition.rows,
        "written_at": partition.written_at.isoformat(),
        "contract": partition.contract,
        "details": details if level == "restricted" else without_people(details),
    }


def _files(export: Export) -> list[str]:
    rows = (
        (file.path.name, f"{file.rows:,}", f"{file.bytes:,}", file.sha256) for file in export.files
    )
    return [
        "## Files",
        "",
        "`DATA_DICTIONARY.md` says what each column is; `provenance.json` has all that follows.",
        "",
        *table(("file", "rows", "bytes", "SHA-256"), rows),
        *(["", _CSV_NOTE] if any(file.path.suffix == ".csv" for file in export.files) else []),
    ]


def _partitions(export: Export) -> list[str]:
    rows = [
        (
            partition.dataset,
            partition.day,
            f"{partition.rows:,}",
            f"{partition.written_at:%Y-%m-%d %H:%M:%S}",
            partition.contract,
        )
        for file in export.files
        for partition in file.partitions
    ]
    missing = [
        f"- {escaped(file.row.asset)}: no rows are stored of {day}"
        for file in export.files
        for day in export.days
        if file.row not in (*LEDGER, *PROVENANCE)
        and day not in {partition.day for partition in file.partitions}
    ]
    header = ("table", "sync day", "rows", "written (UTC)", "contract")
    return ["## Days", "", *table(header, rows), *([""] if missing else []), *missing]


def _level(export: Export) -> list[str]:
    told = _LEVELS[export.level]
    if export.level == "public":
        told += (
            " No account is named."
            if export.named is None
            else f" Accounts with so many followers that they may be named: {export.named:,}."
        )
    return ["## What is given", "", told]


def _deletions(export: Export) -> list[str]:
    rows = [
        (file.path.name, reason, f"{count:,}")
        for file in export.files
        for reason, count in file.left_out.items()
    ]
    told = f"{_LEFT_OUT} {_LATER[export.level]}"
    header = ("file", "reason", "rows left out")
    lines = ["## Deletions", "", told]
    return [*lines, "", *table(header, rows)] if rows else [*lines, "", "No row was left out."]


def _firehose(partitions: Sequence[Partition], export: Export) -> list[str]:
    rows, gaps = [], []
    of_gap = [name for name in _GAP if export.level == "restricted" or name not in _OTHERS_WORDS]
    for partition in partitions:
        stream = partition.told(StreamDetails)
        told = stream.completeness or Completeness()
        rows.append(
            (
                partition.day,
                f"{partition.rows:,}",
                told.received_from,
                told.received_to,
                told.gap_count if stream.completeness else None,
                told.missing_events if stream.completeness else None,
                told.uncounted_gaps,
                told.jump_count,
                ", ".join(stream.migrated_from) if export.level == "restricted" else None,
            )
        )
        gaps += [(partition.day, *(getattr(gap, name) for name in of_gap)) for gap in told.gaps]
    header = (
        "sync day",
        "posts",
        "received from",
        "received to",
        "gaps",
        "events known to be missing",
        "gaps in which nobody counts events",
        "jumps of repositories",
        "migrated from",
    )
    lines = ["## How complete the firehose is", "", *table(header, rows)]
    lines += [
        f"- {day}: the firehose was not collected" for day in _without(partitions, export.days)
    ]
    lines += [
        f"- {partition.day}: {escaped(line)}"
        for partition in partitions
        for line in partition.told(StreamDetails).source_lines()
    ]
    if gaps:
        lines += ["", f"Of {len(gaps)} gaps that are listed, the first {_MOST_LISTED_GAPS}:", ""]
        lines += table(("sync day", *of_gap), gaps[:_MOST_LISTED_GAPS])
    return lines


def _without(partitions: Sequence[Partition], days: Sequence[date]) -> Iterator[date]:
    there = {partition.day for partition in partitions}
    return (day for day in days if day not in there)


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table under its title; nothing where it has no rows."""
    return [title, "", *table(header, rows)] if rows else []


def _feeds(partitions: Sequence[Partition], level: Level) -> list[str]:
    names = [name for name in _READING if level == "restricted" or name not in _OTHERS_WORDS]
    rows = [
        (partition.day, feed, *(getattr(read, name) for name in names))
        for partition in partitions
        for feed, read in partition.told(FeedDetails).readings.items()
    ]
    shown = {"uri": "AT URI", "read_at": "last read"}
    return _section(
        "## Feeds", ("sync day", "feed", *(shown.get(name, name) for name in names)), rows
    )


def _filters(partitions: Sequence[Partition]) -> list[str]:
    rows = [
        (
            partition.day,
            told.filter_version,
            step.filter,
            step.reached,
            step.stopped,
            step.passed,
        )
        for partition in partitions
        for told in (partition.told(FilterDetails),)
        for step in told.funnel
    ]
    header = ("sync day", "filter version", "filter", "reached", "stopped", "passed")
    return _section("## Filters", header, rows)


def _labels(partitions: Sequence[Partition], prompts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            partition.dataset,
            partition.day,
            model.model,
            model.model_digest,
            model.parameters,
            told.prompt_version,
            told.schema_version,
            model.answered,
            model.failed,
        )
        for partition in partitions
        for told in (partition.told(LabelDetails),)
        for model in told.models
    ]
    header = (
        "table",
        "sync day",
        "model",
        "digest",
        "parameters",
        "prompt",
        "schema",
        "answered",
        "failed",
    )
    lines = _section("## Labels", header, rows)
    samples = [
        f"- {escaped(partition.dataset)} of {partition.day}: a random sample, "
        f"{told.labelled:,} of {told.posts:,} posts. {_WEIGH}"
        for partition in partitions
        for told in (partition.told(LabelDetails),)
        if told.sample
    ]
    lines += ["", *samples] if samples else []
    if prompts:
        lines += ["", "The prompts and the schemas of their answers:", ""]
        lines += [f"- `prompts/{prompt_file(prompt)}`" for prompt in prompts]
    return lines


def prompt_file(prompt: Mapping[str, Any]) -> str:
    """The name of the file that has the text of a prompt; versions are hashes in hex."""
    return f"{prompt['prompt_version']}-{prompt['schema_version']}.txt"


def _labelled(lake: Lake, days: Sequence[date]) -> list[Partition]:
    return [one for row in lake.rows if holds_labels(row) for one in _of(lake, row, days)]


def _terms() -> list[str]:
    return [
        "## Terms",
        "",
        "Posts belong to their authors. "
        "Labels by language models are estimates: say which model and prompt they are from. "
        "Languages were identified with fastText's lid.176 model (CC-BY-SA 3.0).",
    ]
