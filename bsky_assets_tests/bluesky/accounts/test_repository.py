"""An exported repository is believed as far as it proves itself, and no further."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libipld import decode_car, encode_dag_cbor

from bsky_assets.bluesky.accounts.identity import Identity, NoRepository, is_public
from bsky_assets.bluesky.accounts.repository import read_repository
from bsky_assets.bluesky.cars import read_car
from bsky_assets_tests.support.places import REAL_DATA, needs_real_data
from bsky_sandbox.posts import tid
from bsky_sandbox.repositories import Held, Key

POST = "app.bsky.feed.post"
DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
REV = tid(1_700_000_000_000_000 << 10)


def identity_of(did: str = DID) -> Identity:
    return Identity(did, "https://pds.test", f"did:key:{Key(did).multikey}")


def records(numbers: set[int]) -> dict[str, bytes]:
    """Posts and likes."""
    return {
        f"{POST if number % 3 else 'app.bsky.feed.like'}/{tid(number << 10)}": bytes(
            encode_dag_cbor({"text": str(number)})
        )
        for number in numbers
    }


NUMBERS = st.sets(st.integers(1, 2**40), max_size=60)


@settings(max_examples=30, deadline=None)
@given(numbers=NUMBERS, who=st.integers(0, 9))
def test_a_whole_and_signed_repository_is_read(numbers: set[int], who: int) -> None:
    did = f"{DID[:-1]}{'abcdefghij'[who]}"
    held = Held(REV, records(numbers))
    read = read_repository(held.file(did, Key(did)), identity_of(did), POST)
    assert (read.did, read.rev) == (did, REV)
    assert dict(read.records) == {
        path.removeprefix(f"{POST}/"): block
        for path, block in held.records.items()
        if path.startswith(POST)
    }


WHOLE = Held(REV, records({*range(1, 40)})).file(DID, Key(DID))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_changed_or_cut_repository_is_refused_or_the_same(at: int, bit: int, cut: bool) -> None:
    changed = WHOLE[:at] if cut else WHOLE[:at] + bytes([WHOLE[at] ^ 1 << bit]) + WHOLE[at + 1 :]
    try:
        read = read_repository(changed, identity_of(), POST)
    except NoRepository:
        return
    assert read == read_repository(WHOLE, identity_of(), POST)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200))
def test_anything_else_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(NoRepository, match="repository"):
        read_repository(content, identity_of(), POST)


def test_of_another_key_or_account_none_is_believed() -> None:
    other = replace(identity_of(), key=f"did:key:{Key('did:plc:b').multikey}")
    for identity in (other, replace(other, key="did:key:zz"), identity_of("did:plc:b")):
        with pytest.raises(NoRepository):
            read_repository(WHOLE, identity, POST)


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("https://pds.bsky.network", True),
        ("http://pds.bsky.network", False),
        ("https://169.254.169.254", False),
        ("https://127.1", False),
        ("https://[::1]", False),
        ("https://localhost", False),
        ("https://metadata.google.internal", False),
        ("https://printer.local.", False),
        ("https://x.test", False),
        ("https://[", False),
    ],
)
def test_only_public_hosts_are_asked(url: str, is_so: bool) -> None:
    assert is_public(url) is is_so


@pytest.mark.real_data
@needs_real_data
@pytest.mark.parametrize(
    "path", ["repo-stream/little.car", "repo-stream/tiny.car", "laravel-bluesky/bsky-app.car"]
)
def test_real_repositories_have_every_post_that_the_sdk_finds(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose they are is not at hand, so the signature is left out."""
    content = (REAL_DATA / "car" / path).read_bytes()
    header, blocks = decode_car(content)
    commit = blocks[header["roots"][0]]
    monkeypatch.setattr("bsky_assets.bluesky.accounts.repository.verify_signature", lambda *_: True)
    read = read_repository(content, identity_of(commit["did"]), POST)
    posts = [each for each in blocks.values() if each.get("$type") == POST]
    assert len(read.records) == len(posts)
    assert read_car(content)[0] == header["roots"][0]
