"""The reports on loopback, for links of the UI: the pages of the folder, and nothing else."""

import socket
from pathlib import Path

import httpx
import pytest

from bsky_assets.reporting import serving as module
from bsky_assets.reporting.serving import serving


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "2026-03-08.html").write_text("<h1>A day</h1>")
    return folder


def test_a_report_is_served_and_nothing_beside_the_folder(reports: Path) -> None:
    with serving(reports) as url:
        assert httpx.get(f"{url}/2026-03-08.html").text == "<h1>A day</h1>"
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt"):
            assert "secret" not in httpx.get(f"{url}{path}").text
        assert httpx.get(url).status_code == 404, "what is there is listed"
        (reports / "index.html").write_text("all days")
        assert httpx.get(url).text == "all days"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/2026-03-08.html")


def test_who_comes_by_another_name_is_refused(reports: Path) -> None:
    with serving(reports) as url:
        stranger = httpx.get(f"{url}/2026-03-08.html", headers={"Host": "evil.test:3001"})
        assert stranger.status_code == 403
        assert "A day" not in stranger.text
        own = {"Host": "localhost:3001"}
        assert httpx.get(f"{url}/2026-03-08.html", headers=own).status_code == 200


def test_where_the_usual_port_is_taken_it_gets_another(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(module, "PORT", taken.getsockname()[1])
        with serving(reports) as url:
            assert int(url.rpartition(":")[2]) != taken.getsockname()[1]
            assert httpx.get(f"{url}/2026-03-08.html").status_code == 200
