"""OpenAI's embeddings as the sandbox makes them: no model, but a vector of the words of a text.

Texts that share words are near each other, and more so the rarer these look: long words count for
more. Source of the form: OpenAI's API reference, embeddings.
"""

import math
import re
from typing import Any
from zlib import crc32

from bsky_sandbox.chat import MODEL, ApiError, count_tokens

WIDTH = 256
_MOST_TEXTS = 2_048
_WORD = re.compile(r"[^\W_]{3,}")


def embeddings(body: object) -> dict[str, Any]:
    """The response to a decoded request.

    Raises:
        ApiError: 400, naming the parameter that cannot be used.
    """
    texts = body.get("input") if isinstance(body, dict) else None
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_TEXTS:
        raise ApiError(400, "'input' must be a string or an array of them.", param="input")
    if not all(isinstance(text, str) and text for text in texts):
        raise ApiError(400, "'input' must have no empty string.", param="input")
    tokens = sum(map(count_tokens, texts))
    return {
        "object": "list",
        "model": MODEL,
        "data": [
            {"object": "embedding", "index": place, "embedding": _vector_of(text)}
            for place, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector_of(text: str) -> list[float]:
    """A vector of length one, of the words of `text`; the same for the same words."""
    vector = [0.0] * WIDTH
    for word in set(_WORD.findall(text.lower())):
        hashed = crc32(word.encode())
        weight = math.log(len(word))
        vector[hashed % WIDTH] += weight if hashed >> 16 & 1 else -weight
    length = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / length for number in vector]
