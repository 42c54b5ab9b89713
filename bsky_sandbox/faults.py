"""Faults that the sandbox's streams commit on demand: which, where, and what came of them.

A fault strikes at a position of a stream once, however often a consumer comes by; but what is
lost stays lost, for all consumers. So what a consumer must come to is known: everything but
what `Injected.lost` names. What does not belong here: faults of HTTP (`http_faults`), and how
a stream sends what a fault asks for (`serving`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_DICE = 2**64


class Fault(StrEnum):
    """What can go wrong at a message of a stream. `amount` says how much, see `AMOUNTS`."""

    CLOSE = "close"
    """The connection is closed with 1000 instead."""
    ABORT = "abort"
    """The connection is cut without a close frame instead, which clients call 1006."""
    STALL = "stall"
    """Nothing comes any more; pings are answered."""
    SILENCE = "silence"
    """Nothing comes any more, not even an answer to a ping."""
    CONSUMER_TOO_SLOW = "consumer_too_slow"
    """An error frame ConsumerTooSlow comes instead, and the connection is closed."""
    SLOW = "slow"
    """The message comes late; the amount is in seconds."""
    GARBAGE = "garbage"
    """Bytes without meaning come instead; the amount is how many."""
    TRUNCATED = "truncated"
    """Only the first half of the message comes."""
    CORRUPT = "corrupt"
    """A record in the message is not what its CID says. Strikes commits with a record only."""
    OVERSIZED = "oversized"
    """The message comes with zeros after it; the amount is its size in bytes.

    Nothing is lost: a consumer that gives up and comes again gets the message as it is.
    """
    TOO_BIG = "too_big"
    """A commit comes with `tooBig`, so without its operations. Strikes commits only."""
    DUPLICATE = "duplicate"
    """Messages before it, but those that are lost, come again first; the amount is how many."""
    SWAP = "swap"
    """The message after it comes first."""
    SKIP = "skip"
    """Messages, beginning with this, are left out; the amount is how many."""
    RENUMBER = "renumber"
    """From here on sequence numbers are others, as from a new host behind the same name.

    The amount is added to each; connections made later see the whole backlog so numbered.
    """


AMOUNTS: Mapping[Fault, float] = {
    Fault.SLOW: 0.2,
    Fault.GARBAGE: 100,
    Fault.OVERSIZED: 17 * 2**20,
    Fault.DUPLICATE: 3,
    Fault.SKIP: 5,
    Fault.RENUMBER: -1_000_000,
}
"""How much of a fault there is where a plan does not say."""

DAMAGE = frozenset({Fault.GARBAGE, Fault.TRUNCATED, Fault.CORRUPT, Fault.OVERSIZED})
"""Faults that come instead of a message, or before it, by the plan's `whole_follows`."""


@dataclass(frozen=True)
class Strike:
    """A fault, and how much of it."""

    fault: Fault
    amount: float | None = None
    """None: as in `AMOUNTS`."""


@dataclass(frozen=True)
class StreamFaults:
    """What goes wrong in a stream, and where. The default is that nothing does."""

    seed: int = 0
    """Of the dice: the same stream meets the same faults at the same positions."""
    at: Mapping[int, Fault | Strike] = field(default_factory=dict)
    """Faults by position, counted from 0, in the stream."""
    probability: Mapping[Fault, float] = field(default_factory=dict)
    """How often each strikes at any one message; all together at most 1."""
    whole_follows: bool = False
    """Whether a damaged message is followed by the whole one, so that nothing is lost."""
    refusals: tuple[int, ...] = ()
    """HTTP statuses with which the next connections are refused, one after the other."""

    def __post_init__(self) -> None:
        """Check the probabilities.

        Raises:
            ValueError: they are none.
        """
        shares = self.probability.values()
        if any(share < 0 for share in shares) or sum(shares) > 1:
            raise ValueError("probabilities are at least 0, and at most 1 together")


@dataclass(frozen=True)
class Injected:
    """A fault that struck."""

    fault: Fault
    position: int
    """Of the message at which it struck, counted from 0 in the stream."""
    seq: int
    """The number that this message had for the consumer before the fault."""
    amount: float
    lost: tuple[int, ...] = ()
    """The numbers of the messages that no consumer gets whole because of it."""


class StreamInjector:
    """Says where faults strike, and keeps what struck. Its faults can be replaced at any time."""

    def __init__(self, faults: StreamFaults) -> None:
        self.injected: list[Injected] = []
        """What struck so far, in that order."""
        self._left_out: dict[int, int] = {}
        self._damaged: dict[int, Strike] = {}
        self.faults = faults

    @property
    def faults(self) -> StreamFaults:
        """What is in force; with what is set, positions can be struck anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: StreamFaults) -> None:
        self._faults = faults
        self._struck: set[int] = set()
        self._refusals = list(faults.refusals)
        self._key = faults.seed.to_bytes(16, "big", signed=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing can strike and nothing is lost."""
        planned = self._faults.at or self._faults.probability
        return not (planned or self._left_out or self._damaged)

    def refusal(self) -> int | None:
        """The HTTP status with which the next connection is refused, if it is."""
        return self._refusals.pop(0) if self._refusals else None

    def strike(self, position: int) -> Strike | None:
        """What strikes at `position`, with its amount, unless it did before and left no trace."""
        if (damage := self._damaged.get(position)) is not None or position in self._struck:
            return damage
        planned = self._faults.at.get(position) or self._by_chance(position)
        if planned is None:
            return None
        self._struck.add(position)
        strike = planned if isinstance(planned, Strike) else Strike(planned)
        if strike.amount is not None:
            return strike
        return Strike(strike.fault, AMOUNTS.get(strike.fault, 0))

    def record(self, injected: Injected) -> None:
        """Keep that a fault struck; what it damaged for good stays so and is told once."""
        if injected.position in self._damaged:
            return
        self.injected.append(injected)
        if injected.fault is Fault.SKIP:
            self._left_out[injected.position] = injected.position + int(injected.amount)
        elif injected.lost:
            self._damaged[injected.position] = Strike(injected.fault, injected.amount)

    def after_left_out(self, position: int) -> int:
        """The first position from `position` on that is not left out."""
        return next(
            (stop for start, stop in self._left_out.items() if start <= position < stop), position
        )

    def is_lost(self, position: int) -> bool:
        """Whether no consumer gets the message at `position` whole."""
        return position in self._damaged or self.after_left_out(position) != position

    def _by_chance(self, position: int) -> Fault | None:
        if not self._faults.probability:
            return None
        digest = hashlib.blake2b(position.to_bytes(8), key=self._key, digest_size=8).digest()
        dice = int.from_bytes(digest) / _DICE
        for fault, share in self._faults.probability.items():
            if dice < share:
                return fault
            dice -= share
        return None
