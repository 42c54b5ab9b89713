"""How an endpoint is reached over TLS."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from bsky_assets.labelling.asking.endpoint import Endpoint, Service
from bsky_assets.settings import Settings
from bsky_assets_tests.labelling.asking.misbehaving import CutsThePrompt
from bsky_assets_tests.support.labelling import Lab
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post


def test_certificates_are_read_once_and_anew_where_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, read = httpx2.create_ssl_context, list[bool]()

    def counted(verify: Any = True, **named: Any) -> ssl.SSLContext:
        read.append(verify is True)
        return create(verify, **named)

    monkeypatch.setattr(httpx2, "create_ssl_context", counted)
    for name in ("one", "another"):
        authority, own = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(own)
        bundle = tmp_path / f"{name}.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        read.clear()
        with served(CutsThePrompt(100_000).app(), own) as url:
            lab = Lab(tmp_path / name, f"{url}/v1", {"llm_models": ("fake",)})
            lab.filtered([filtered_post(0, "A post")])
            lab.label()
            assert len(lab.labels()) == 1
        asyncio.run(_reached(lab.settings, 3))
        assert read.count(True) == 1


async def _reached(settings: Settings, times: int) -> None:
    for _ in range(times):
        async with Endpoint(Service.of_labels(settings), 1):
            pass
