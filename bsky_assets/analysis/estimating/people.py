"""People's labels of a sample, and the chance that each had of being among them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bsky_assets.analysis.coding.room import Room, decided, disputed, open_room, rooms
from bsky_assets.contracts import LlmLabel
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings


class NotCorrected(UserError):
    """There are no labels by people from which these days can be corrected."""


@dataclass(frozen=True, slots=True)
class People:
    """What people said of a sample of posts."""

    sample: str
    labels: dict[str, str]
    """The answer about each post, by URI."""
    chances: dict[str, float]
    """Of each of these posts to be drawn and coded, where it has a label; one over what it stands
    for, and more than 1 where several samples are counted together."""
    drawn_from: int | None = None
    """How many labelled posts there were; None where the sample is of more days than these."""


def people_of(
    settings: Settings,
    days: Sequence[date],
    sample: str | None = None,
    asset: str = LlmLabel.asset,
) -> People:
    """People's labels of posts of `days`, from the room of `sample`, or the only one that has any.

    `asset` has the labels by models that they are to correct.

    A sample that was drawn after others is counted together with them (`together`).

    Raises:
        NotCorrected: none has, or several have, or its sample was not drawn from all of `days`, or
            its design is not known, or coders' disputes are undecided, or a stratum has no post
            that was coded: what cannot be corrected by design is not corrected.
    """
    room = open_room(settings, sample) if sample else _only(settings, days, asset)
    chain = [*(open_room(settings, name) for name in room.after), room]
    labels, chances = together([_coded_in(one, days, asset) for one in chain])
    return People(
        ", ".join(one.name for one in chain),
        labels,
        chances,
        sum(room.sizes.values()) if {*room.days} == {*days} else None,
    )


Coded = dict[str, tuple[str, float]]
"""The answer about each coded post of a sample, by URI, and its chance to be drawn and coded."""


def together(samples: Sequence[Coded]) -> tuple[dict[str, str], dict[str, float]]:
    """Answers and chances of several samples of the same posts, each drawn from all of them.

    Each sample counts for the part of the coded posts that is its own, so that what a post stands
    for is the mean of what it stands for in each, and on average right. Of a post that is in
    several the last answer counts.
    """
    every = sum(map(len, samples))
    labels: dict[str, str] = {}
    stands_for: dict[str, float] = {}
    for coded in samples:
        for uri, (answer, chance) in coded.items():
            labels[uri] = answer
            stands_for[uri] = stands_for.get(uri, 0.0) + len(coded) / every / chance
    return labels, {uri: 1 / posts for uri, posts in stands_for.items()}


def _coded_in(room: Room, days: Sequence[date], asset: str) -> Coded:
    """What people said of the posts of `room`.

    Raises:
        NotCorrected: its design does not carry `days`.
    """
    if room.codebook.asset != asset:
        raise NotCorrected(
            f"{room.name} is coded by the codebook {room.codebook.name}, and this is estimated "
            f"from {asset}"
        )
    if missing := [day for day in days if day not in room.days]:
        raise NotCorrected(f"{room.name} was not drawn from {missing[0]}: people coded none of it")
    if not room.sizes:
        raise NotCorrected(f"how {room.name} was drawn is not known: draw it with --sample")
    labels = decided(room)
    if undecided := disputed(room).keys() - labels.keys():
        raise NotCorrected(
            f"coders of {room.name} disagree on {len(undecided)} posts; have them decided with "
            f"`bsky-assets labels room {room.name} --adjudicate WHO`"
        )
    coded = Counter(room.items[number].stratum for number in labels)
    if empty := [name for name, size in sorted(room.sizes.items()) if size and not coded[name]]:
        raise NotCorrected(
            f"no post of the stratum {empty[0]!r} of {room.name} has been coded: of "
            f"{room.sizes[empty[0]]:,} posts nothing is known"
        )
    return {
        uri: (label.answer, coded[item.stratum] / room.sizes[item.stratum])
        for number, label in labels.items()
        if (uri := (item := room.items[number]).uri)
    }


def _only(settings: Settings, days: Sequence[date], asset: str) -> Room:
    """The one room that was drawn from all of `days`, has an answer, and that none followed."""
    every = [open_room(settings, name) for name in rooms(settings)]
    of_record = [room for room in every if room.codebook.asset == asset]
    coded = [room for room in of_record if {*days} <= {*room.days} and decided(room)]
    followed = {name for room in coded for name in room.after}
    fitting = [room for room in coded if room.name not in followed]
    if len(fitting) == 1:
        return fitting[0]
    when = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    if fitting:
        names = ", ".join(room.name for room in fitting)
        raise NotCorrected(f"several samples are of {when}: say which with --sample: {names}")
    raise NotCorrected(
        f"not corrected: no labels by people of a sample of {when}; have one coded with "
        "`bsky-assets labels room --sample N --days …`"
    )
