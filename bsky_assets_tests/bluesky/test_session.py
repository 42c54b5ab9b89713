"""A session is kept for its owner alone, taken up again, renewed, and never shown."""

import base64
import logging
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import stamina

from bsky_assets.bluesky.session import SignInFailed, sign_in
from bsky_assets.settings import Settings
from bsky_assets_tests.bluesky.xrpc_host import Answer, Asked, Host, serve

HANDLE = "reader.test"
PASSWORD = "abcd-efgh-ijkl-mnop"
DID = "did:plc:reader"


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def token(kind: str, seconds: float, number: int) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    payload = {"scope": kind, "sub": DID, "exp": int(time.time() + seconds), "jti": str(number)}
    return f"{part({'alg': 'ES256K'})}.{part(payload)}.{part({'s': number})}"


class Accounts:
    """createSession, getSession and refreshSession, as a PDS has them."""

    def __init__(self, lifetime: float = 7200) -> None:
        self.lifetime = lifetime
        self.issued: list[str] = []
        self.revoked: set[str] = set()

    def __call__(self, asked: Asked) -> Answer:
        bearer = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        known = bearer in self.issued and bearer not in self.revoked
        if asked.method == "com.atproto.server.createSession":
            given = orjson.loads(asked.body)
            if (given["identifier"], given["password"]) != (HANDLE, PASSWORD):
                return Answer(
                    {"error": "AuthenticationRequired", "message": "Invalid password"}, 401
                )
            return self._session()
        if not known:
            return Answer({"error": "ExpiredToken", "message": "Token has expired"}, 400)
        if asked.method == "com.atproto.server.refreshSession":
            self.lifetime = 7200
            return self._session()
        return Answer({"did": DID, "handle": HANDLE})

    def _session(self) -> Answer:
        access = token("access", self.lifetime, len(self.issued))
        refresh = token("refresh", 10 * 7200, len(self.issued) + 1)
        self.issued += [access, refresh]
        return Answer({"did": DID, "handle": HANDLE, "accessJwt": access, "refreshJwt": refresh})


def settings(
    host: Host, folder: Path, handle: str | None = HANDLE, password: str | None = PASSWORD
) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=folder,
        appview_url=host.url,
        handle=handle,
        app_password=password,
    )


def methods(host: Host) -> list[str]:
    return [asked.method.rpartition(".")[2] for asked in host.asked]


def test_there_is_no_session_where_none_is_asked_for(tmp_path: Path) -> None:
    with serve(Accounts()) as host:
        assert sign_in(settings(host, tmp_path, None, None)) is None
        assert host.asked == []


@pytest.mark.parametrize(
    ("handle", "password", "missing"),
    [(None, PASSWORD, "BSKY_HANDLE"), (HANDLE, None, "BSKY_APP_PASSWORD")],
)
def test_half_an_account_names_the_missing_half(
    tmp_path: Path, handle: str | None, password: str | None, missing: str
) -> None:
    with serve(Accounts()) as host, pytest.raises(SignInFailed, match=f"{missing} is not set"):
        sign_in(settings(host, tmp_path, handle, password))


def test_the_session_is_kept_for_its_owner_and_taken_up_again(tmp_path: Path) -> None:
    accounts = Accounts()
    with serve(accounts) as host:
        first = sign_in(settings(host, tmp_path))
        again = sign_in(settings(host, tmp_path))
    assert first == again
    assert first is not None
    assert first.host == host.url
    assert first.headers == {"Authorization": f"Bearer {accounts.issued[0]}"}
    assert methods(host) == ["createSession", "getSession"]
    kept = tmp_path / "session"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD.encode() not in kept.read_bytes()


def test_a_session_that_is_about_to_end_is_renewed(tmp_path: Path) -> None:
    accounts = Accounts(lifetime=60)
    with serve(accounts) as host:
        sign_in(settings(host, tmp_path))
        renewed = sign_in(settings(host, tmp_path))
        assert methods(host) == ["createSession", "refreshSession", "getSession"]
        assert renewed is not None
        assert renewed.headers == {"Authorization": f"Bearer {accounts.issued[2]}"}
        assert sign_in(settings(host, tmp_path)) == renewed


@pytest.mark.parametrize("spoil", ["revoked", "garbage", "another handle"])
def test_a_kept_session_that_is_no_good_is_replaced(tmp_path: Path, spoil: str) -> None:
    accounts = Accounts()
    kept = tmp_path / "session"
    with serve(accounts) as host:
        sign_in(settings(host, tmp_path))
        if spoil == "revoked":
            accounts.revoked.update(accounts.issued)
        elif spoil == "garbage":
            kept.write_bytes(b"\xff\x00{")
        else:
            kept.write_bytes(orjson.dumps({**orjson.loads(kept.read_bytes()), "handle": "x.test"}))
        renewed = sign_in(settings(host, tmp_path))
    assert methods(host).count("createSession") == 2
    assert renewed is not None
    assert renewed.headers == {"Authorization": f"Bearer {accounts.issued[2]}"}


def test_a_wrong_password_is_one_line_without_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-wrong-wrong"
    with serve(Accounts()) as host, pytest.raises(SignInFailed) as failure:
        sign_in(settings(host, tmp_path, password=wrong))
    assert "refuses BSKY_HANDLE with BSKY_APP_PASSWORD" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert wrong not in str(failure.value) + caplog.text
    assert not (tmp_path / "session").exists()


def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = Accounts()
    with serve(accounts) as host:
        sign_in(settings(host, tmp_path))
        sign_in(settings(host, tmp_path))
    assert "createSession" in caplog.text
    for secret in (PASSWORD, *accounts.issued):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("status", "message"), [(429, "no more sign-ins for now"), (500, "cannot sign in at")]
)
def test_a_host_that_cannot_sign_in_is_named(tmp_path: Path, status: int, message: str) -> None:
    with (
        serve(lambda _: Answer({"error": "Whatever"}, status)) as host,
        pytest.raises(SignInFailed, match=message) as failure,
    ):
        sign_in(settings(host, tmp_path))
    assert host.url in str(failure.value)
