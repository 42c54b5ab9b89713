"""A setting is its line: how it is read and how it is written follow from its type."""

import pytest
from pydantic import Field

from bsky_assets import settings
from bsky_assets.settings import Addresses, Arguments, CommaSeparated, JsonObject, Settings


class More(Settings):
    """The settings, and one more of each type that is not written as it is printed."""

    hosts: CommaSeparated = ()
    options: Arguments = ()
    body: JsonObject = Field({"cpus": 1})
    places: Addresses = Field({})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("hosts", "a, b,,c", ("a", "b", "c")),
        ("options", "-q 'short one'", ("-q", "short one")),
        ("body", '{"cpus": 2}', {"cpus": 2}),
    ],
)
def test_a_new_setting_is_read_and_written_as_its_type_says(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "Settings", More)
    monkeypatch.setenv(f"BSKY_{name.upper()}", text)
    read = getattr(More(_env_file=None), name)
    assert read == value
    monkeypatch.setenv(f"BSKY_{name.upper()}", settings.as_variable(name, read))
    assert getattr(More(_env_file=None), name) == value


def test_addresses_by_name_are_written_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "Settings", More)
    written = settings.as_variable("places", {"today": "at://a", "news": "at://b"})
    assert written == "today=at://a,news=at://b"
