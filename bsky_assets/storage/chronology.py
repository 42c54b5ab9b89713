"""Which of two things happened later, whichever host told of them, and under what number.

Numbers of events belong to a stretch of one host's stream: they fall when the host behind a name
changes, and say nothing across hosts. A `rev` belongs to the repository and orders all that
happened in it. It is a TID, which begins with the microsecond of the commit; one that lies in the
future of its receipt is to be ignored, so it is later than nothing. Where there is no rev, the
time of the event decides, which cannot be after its receipt.
Source: atproto.com/specs/repository (revisions), atproto.com/specs/tid, and the reference relays,
which allow a clock to be five minutes ahead.
"""

from datetime import timedelta

from bsky_assets.storage.sql import literal

_CLOCK_DRIFT = timedelta(minutes=5)
"""How far a rev may be ahead of its receipt."""

_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_TID = f"[234567abcdefghij][{_DIGITS}]{{12}}"
_DIGITS_OF_TIME = 11
"""The two digits after them number the clock."""
_DRIFT_MICROSECONDS = _CLOCK_DRIFT // timedelta(microseconds=1)


def happened(rev: str, time: str, received_at: str, no_rev: str = "") -> str:
    """SQL for what sorts later the later something happened; the arguments are SQL themselves.

    It is a struct: whether its rev can be believed, the microsecond, and the rev, or `no_rev`.
    Any of the three may be null; of what nothing is known was first.
    """
    instant = f"coalesce(epoch_us({moment(time, received_at)}), 0)"
    return (
        f"CASE WHEN {_is_tid(rev)} THEN {{'is_believed': NOT {is_ahead(rev, received_at)}, "
        f"'at': {_microseconds(rev)}, 'rev': {rev}}} "
        f"ELSE {{'is_believed': true, 'at': {instant}, "
        f"'rev': coalesce({rev}, {literal(no_rev)})}} END"
    )


def moment(time: str, received_at: str) -> str:
    """SQL for the instant at which something happened, as its host tells: not after its receipt."""
    return f"least(coalesce({time}, {received_at}), {received_at})"


def is_ahead(rev: str, received_at: str) -> str:
    """SQL for whether `rev` lies in the future of its receipt."""
    return (
        f"coalesce({_is_tid(rev)} AND "
        f"{_microseconds(rev)} > epoch_us({received_at}) + {_DRIFT_MICROSECONDS}, false)"
    )


def count_ahead(rows: str) -> str:
    """SQL for how many of `rows`, with rev and received_at, have a rev ahead of their receipt.

    Nearly none has: each is first held against its minute, of which there are few.
    """
    digits = ", ".join(
        f"substr({literal(_DIGITS)}, "
        f"CAST((soon >> {5 * (_DIGITS_OF_TIME - place)}) & 31 AS INTEGER) "
        "+ 1, 1)"
        for place in range(1, _DIGITS_OF_TIME + 1)
    )
    return f"""
        SELECT count(*) FROM (
            SELECT rev, received_at, date_trunc('minute', received_at) AS minute FROM {rows}
        ) JOIN (
            SELECT minute, concat({digits}) AS bound FROM (
                SELECT DISTINCT date_trunc('minute', received_at) AS minute,
                    epoch_us(minute) + {_DRIFT_MICROSECONDS} AS soon FROM {rows}
            )
        ) USING (minute)
        WHERE rev > bound AND {is_ahead("rev", "received_at")}
    """


def _is_tid(rev: str) -> str:
    return f"coalesce(regexp_full_match({rev}, {literal(_TID)}), false)"


def _microseconds(rev: str) -> str:
    return (
        f"list_reduce(list_transform(range(1, {_DIGITS_OF_TIME + 1}), lambda place: "
        f"strpos({literal(_DIGITS)}, substr({rev}, place, 1)) - 1), "
        "lambda number, digit: number * 32 + digit)"
    )
