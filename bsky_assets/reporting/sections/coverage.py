"""How completely the stream was read on the day."""

from bsky_assets.reporting.coverage import coverage_figure, share_covered
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Fact, Facts, Picture, Seconds, Section, Share, Text
from bsky_assets.reporting.sections.survival import expected_losses
from bsky_assets.reporting.svg import inline_svg
from bsky_assets.storage.completeness import Completeness


def section(day: StoredDay) -> Section:
    """What of the day was read."""
    blocks: tuple[Block, ...] = (Text(("The firehose was not read.",)),)
    if day.completeness:
        blocks = (Facts(tuple(_facts(day, day.completeness))), _picture(day, day.completeness))
    lines = [f"{line[0].upper()}{line[1:]}." for line in day.source_lines]
    if lines:
        blocks = (Text((" ".join(lines),)), *expected_losses(day), *blocks)
    return Section("coverage", "Was the whole day read?", blocks)


def _facts(day: StoredDay, found: Completeness) -> list[Fact]:
    covered = share_covered(found, day.day, day.settings.timezone)
    so_far = "" if day.is_over else ", as far as it has come"
    facts = [
        Fact(
            "Read of the day",
            None if covered is None else Share(covered),
            f"Share of the day's time{so_far} from which events were read.",
        ),
        Fact(
            "Events",
            sum(found.events.values()),
            "Everything that the stream sent, not posts alone.",
        ),
        Fact("Gaps", found.gap_count, "Places where events of the stream are missing."),
        Fact(
            "Missing events",
            found.missing_events,
            "In the gaps whose numbers tell how many.",
        ),
        Fact(
            "Not counted",
            Seconds(found.uncounted_seconds),
            f"Time of {found.uncounted_gaps:,} gaps whose numbers do not tell.",
        ),
        Fact(
            "Strays",
            found.stray_count,
            "Times that numbers came which fit nowhere; if they were of another numbering, the "
            "rest of it is missing.",
        ),
        Fact(
            "Repository jumps",
            found.jump_count,
            "Accounts of which something before a revision did not come.",
        ),
    ]
    if found.largest_lag_seconds is not None:
        facts.append(
            Fact(
                "Behind at most",
                Seconds(found.largest_lag_seconds),
                "How long after it happened an event was read.",
            )
        )
    return facts


def _picture(day: StoredDay, found: Completeness) -> Picture:
    told = (
        f"{sum(found.events.values()):,} events, {found.gap_count:,} gaps, "
        f"{found.reconnect_count:,} reconnects"
    )
    drawn = coverage_figure(found, day.settings.timezone)
    return Picture(
        inline_svg(drawn, "Events a minute over the day", told),
        "Events a minute, in steps of ten minutes; where something is missing the ground is red.",
    )
