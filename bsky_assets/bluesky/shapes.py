"""Values as they come in JSON, checked: what they may be, and what is said when they are not.

For use in pydantic models of answers, whose fields are checked one by one.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from bsky_assets.bluesky.rows import instant
from bsky_assets.bluesky.syntax import is_did


def _instant(value: Any) -> datetime:
    read = instant(value)
    if read is None:
        raise ValueError("expected a datetime")
    return read


def _did(value: str) -> str:
    if not is_did(value):
        raise ValueError("expected a DID")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
"""A datetime in ISO 8601; one without an offset is taken to be in UTC, which it comes out in."""

Count = Annotated[StrictInt, Field(ge=0, lt=2**63)]

Did = Annotated[StrictStr, AfterValidator(_did)]


def what_is_wrong(error: ValidationError) -> tuple[str, str]:
    """A reason code and a sentence for the first problem, without any of the content."""
    problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    reason = "missing_field" if problem["type"] == "missing" else "bad_field"
    return reason, f"{field}: {problem['msg']}" if field else problem["msg"]
