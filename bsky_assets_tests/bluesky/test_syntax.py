"""Identifiers are what the AT Protocol says they are, and nothing else passes for one."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsky_assets.bluesky import syntax
from bsky_assets_tests.support.places import REAL_DATA

INTEROP = REAL_DATA / "interop" / "atproto-interop-tests" / "syntax"
CHECKS: dict[str, Callable[[Any], bool]] = {
    "did": syntax.is_did,
    "handle": syntax.is_handle,
    "recordkey": syntax.is_record_key,
    "nsid": syntax.is_nsid,
    "tid": syntax.is_tid,
    "aturi": syntax.is_at_uri,
}


def cases(name: str, verdict: str) -> list[str]:
    lines = (INTEROP / f"{name}_syntax_{verdict}.txt").read_text().split("\n")
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.real_data
@pytest.mark.parametrize("name", CHECKS)
def test_the_protocols_own_cases_are_judged_as_it_judges_them(name: str) -> None:
    if not INTEROP.is_dir():
        pytest.skip(f"no interoperability cases at {INTEROP}; set BSKY_REAL_DATA")
    valid, invalid = cases(name, "valid"), cases(name, "invalid")
    assert valid
    assert invalid
    assert [text for text in valid if not CHECKS[name](text)] == []
    assert [text for text in invalid if CHECKS[name](text)] == []


GOOD = {
    "did": "did:plc:z72i7hdynmk6r22z27h6tvur",
    "handle": "alice.example.org",
    "recordkey": "3jzfcijpj2z2a",
    "nsid": "app.bsky.feed.post",
    "tid": "3jzfcijpj2z2a",
    "aturi": "at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3jzfcijpj2z2a",
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("spoiled", ["", "\n", " ", "\x00", "/", "x" * 100_000, "é", "\u202e"])
def test_what_is_added_to_a_good_identifier_spoils_it(name: str, spoiled: str) -> None:
    assert CHECKS[name](GOOD[name])
    if not spoiled:
        assert not CHECKS[name]("")
        return
    assert not CHECKS[name](GOOD[name] + spoiled)
    assert not CHECKS[name](spoiled + GOOD[name])


@pytest.mark.parametrize("name", CHECKS)
@given(value=st.none() | st.integers() | st.binary() | st.lists(st.text()))
def test_what_is_no_text_is_no_identifier(name: str, value: Any) -> None:
    assert not CHECKS[name](value)


def test_the_parts_of_an_address_are_told() -> None:
    assert syntax.at_uri_parts(GOOD["aturi"]) == (GOOD["did"], GOOD["nsid"], GOOD["recordkey"])
    assert syntax.at_uri_parts("at://alice.example.org") == ("alice.example.org", None, None)
    assert syntax.at_uri_parts("at://did:plc:a/app.bsky.feed.post/..") is None
