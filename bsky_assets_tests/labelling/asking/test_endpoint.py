"""How an endpoint is reached over TLS."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from bsky_assets_tests.labelling.asking.misbehaving import CutsThePrompt
from bsky_assets_tests.support.labelling import Lab
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post


def test_certificates_are_read_once_and_anew_where_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, read = ssl.SSLContext.load_verify_locations, list[Any]()

    def counted(self: ssl.SSLContext, *where: Any, **named: Any) -> None:
        read.append((where, named))
        load(self, *where, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted, raising=False)
    for name in ("one", "another"):
        authority, own = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(own)
        bundle = tmp_path / f"{name}.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        read.clear()
        with served(CutsThePrompt(100_000).app(), own) as url:
            for part in ("first", "second"):
                lab = Lab(tmp_path / name / part, f"{url}/v1", {"llm_models": ("fake",)})
                lab.filtered([filtered_post(0, "A post")])
                lab.label()
                assert len(lab.labels()) == 1
        assert len(read) == 1
