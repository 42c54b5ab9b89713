"""How sure a model was of its answers, by the log-probabilities of the tokens that it wrote.

The confidence of an answer is the probability of the tokens that make up its value, `left` in
`{"p0": {"text": "…", "label": "left"}}`, each given what was written before it. What stands around
it says nothing of the post. It is none where a server's tokens are not what it wrote.
Source of the form: OpenAI's API reference, chat completions, `logprobs`.
"""

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

Token = tuple[bytes, float]
"""What was written, and the logarithm of how likely that was."""

Spans = dict[str, tuple[int, int]]

_decode = json.JSONDecoder().raw_decode
_BLANK = " \t\n\r"


def tokens_of(logprobs: Any) -> tuple[Token, ...]:
    """The tokens in a choice's `logprobs`, as the SDK has it; none where it is of another form."""
    try:
        return tuple(
            (
                bytes(token.bytes) if isinstance(token.bytes, list) else token.token.encode(),
                float(token.logprob),
            )
            for token in logprobs.content
        )
    except (AttributeError, TypeError, ValueError):
        return ()


def confidence_of(source: str, path: Sequence[str], tokens: Sequence[Token]) -> float | None:
    """The probability of the value at `path` in `source`, a JSON object among what was written."""
    begins = b"".join(part for part, _ in tokens).rfind(_bytes(source)) if tokens else -1
    if begins < 0:
        return None
    start, end = (begins + len(_bytes(source[:place])) for place in _inside(source, path))
    ends = accumulate(len(part) for part, _ in tokens)
    said = [
        logprob
        for (part, logprob), stop in zip(tokens, ends, strict=True)
        if stop > start and stop - len(part) < end
    ]
    total = sum(said)
    return None if math.isnan(total) else math.exp(min(total, 0.0))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _inside(source: str, path: Sequence[str]) -> tuple[int, int]:
    """Where the value at `path` begins and ends, without its quotes."""
    start, end = 0, len(source)
    for name in path:
        start, end = _members(source, start)[name]
    quoted = source[start] == '"'
    return start + quoted, end - quoted


def _members(source: str, at: int) -> Spans:
    """Where in `source` the values are of the object that begins at `at`, which is whole."""
    found: Spans = {}
    at = _next(source, at + 1)
    while source[at] != "}":
        name, at = _decode(source, at)
        start = _next(source, _next(source, at) + 1)
        _, end = _decode(source, start)
        found[name] = (start, end)
        at = _next(source, end)
        at = _next(source, at + 1) if source[at] == "," else at
    return found


def _next(source: str, at: int) -> int:
    """The place of what is no blank, from `at` on."""
    while source[at] in _BLANK:
        at += 1
    return at
