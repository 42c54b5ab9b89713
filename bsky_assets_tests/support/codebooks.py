"""Codebooks of every type, and an endpoint that reads the answers off the posts."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from bsky_assets_tests.support.llm_endpoint import Question, code_of


def codebook(name: str, kind: str, labels: Mapping[str, str] | None = None, more: str = "") -> str:
    """The text of a codebook; `labels` are names and definitions, `more` further keys."""
    lines = [f'name = "{name}"', f'question = "What is {name}?"', more, "[answer]"]
    lines.append(f'type = "{kind}"')
    for label, definition in (labels or {}).items():
        lines += [f'[answer.labels."{label}"]', f'definition = "{definition}"']
    return "\n".join(lines) + "\n"


TOXIC = codebook("toxic", "boolean", {"yes": "It attacks somebody.", "no": "It attacks nobody."})
TOPIC = codebook("topic", "one_of", {"sport": "Games.", "food": "Meals.", "other": "The rest."})
FEELINGS = codebook("feelings", "several_of", {"joy": "Glad.", "fear": "Dread.", "anger": "Ire."})
HEAT = codebook("heat", "scale", {"1": "Calm.", "5": "Furious."})
TARGET = codebook("target", "text")
EVERY_TYPE = (TOXIC, TOPIC, FEELINGS, HEAT, TARGET)


def read_off(body: dict[str, Any], question: Question) -> str:
    """Answers every field of the schema by what the post says of it: `heat=4 toxic=no`."""
    schema = body["response_format"]["json_schema"]["schema"]["properties"]
    answers = {"code": code_of(body)} if "code" in schema else {}
    for key, post in question.items():
        fields = schema[key]["properties"]
        answers[key] = {name: _said(post["text"], name, of) for name, of in fields.items()}
    return orjson.dumps(answers).decode()


def _said(text: str, name: str, of: dict[str, Any]) -> Any:
    if name == "text":
        return text.split()[0]
    found = re.search(rf"\b{name}=(\S*)", text)
    said = found[1] if found else of.get("enum", ["nothing"])[-1]
    if of["type"] == "array":
        return [one for one in said.split(",") if one in of["items"]["enum"]]
    return said
