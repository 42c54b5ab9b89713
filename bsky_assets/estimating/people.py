"""People's labels of a sample, and the chance that each had of being among them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bsky_assets.coding.room import Room, decided, disputed, open_room, rooms
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
    """Of each of these posts to be drawn and coded, where it has a label."""
    drawn_from: int | None = None
    """How many labelled posts there were; None where the sample is of more days than these."""


def people_of(settings: Settings, days: Sequence[date], sample: str | None = None) -> People:
    """People's labels of posts of `days`, from the room of `sample`, or the only one that has any.

    Raises:
        NotCorrected: none has, or several have, or its sample was not drawn from all of `days`, or
            its design is not known, or coders' disputes are undecided, or a stratum has no post
            that was coded: what cannot be corrected by design is not corrected.
    """
    room = open_room(settings, sample) if sample else _only(settings, days)
    if room.codebook.asset != LlmLabel.asset:
        raise NotCorrected(
            f"{room.name} is coded by the codebook {room.codebook.name}, and this is estimated "
            f"from {LlmLabel.asset}"
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
    found = {
        uri: (label.answer, coded[item.stratum] / room.sizes[item.stratum])
        for number, label in labels.items()
        if (uri := (item := room.items[number]).uri)
    }
    return People(
        room.name,
        {uri: answer for uri, (answer, _) in found.items()},
        {uri: chance for uri, (_, chance) in found.items()},
        sum(room.sizes.values()) if {*room.days} == {*days} else None,
    )


def _only(settings: Settings, days: Sequence[date]) -> Room:
    """The one room that was drawn from all of `days` and has an answer."""
    every = [open_room(settings, name) for name in rooms(settings)]
    of_record = [room for room in every if room.codebook.asset == LlmLabel.asset]
    fitting = [room for room in of_record if {*days} <= {*room.days} and decided(room)]
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
