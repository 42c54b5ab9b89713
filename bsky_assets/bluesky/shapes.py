"""Values as they come in JSON, checked: what they may be, and what is said when they are not.

For use in pydantic models of answers, whose fields are checked one by one.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic.alias_generators import to_camel


def _instant(value: Any) -> datetime:
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("expected a datetime") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
"""A datetime in ISO 8601; one without an offset is taken to be in UTC, which it comes out in."""

Count = Annotated[StrictInt, Field(ge=0, lt=2**63)]

Did = Annotated[StrictStr, Field(pattern=r"^did:[a-z]+:[A-Za-z0-9._:%-]+$")]


class View(BaseModel):
    """Part of an answer, in camel case; fields that are not named are not looked at."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


def what_is_wrong(error: ValidationError) -> tuple[str, str]:
    """A reason code and a sentence for the first problem, without any of the content."""
    problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    reason = "missing_field" if problem["type"] == "missing" else "bad_field"
    return reason, f"{field}: {problem['msg']}" if field else problem["msg"]
