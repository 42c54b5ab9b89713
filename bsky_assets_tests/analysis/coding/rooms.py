"""Rooms for tests: of a file of texts, opened in this process or as a command."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.making import room_of_file
from bsky_assets.analysis.coding.room import Room
from bsky_assets.analysis.coding.server import RoomServer
from bsky_assets.settings import Settings
from bsky_assets_tests.support.sandbox_day import plain_environment

ANSWERS = ("not_sociopolitical", "left", "right", "moderate", "unclear")


def settings_of(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data")


def texts(folder: Path, count: int) -> Path:
    """A file of texts from elsewhere."""
    path = folder / "texts.csv"
    path.write_text("text\n" + "".join(f"Text number {n} <b>&\n" for n in range(1, count + 1)))
    return path


def made(folder: Path, count: int, *coders: str, overlap: int | None = None) -> Room:
    return room_of_file(settings_of(folder), texts(folder, count), coders, overlap)


@dataclass
class Page:
    """A coder's page as a program sees it."""

    address: str

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = httpx.get(f"{self.address}state").json()
        return state

    def send(self, did: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.address}{did}", json=body)

    def code(self, *answers: str) -> dict[str, Any]:
        """Give these answers to what is shown, one after another."""
        state = self.state()
        for answer in answers:
            told = self.send("answer", item=state["item"]["number"], value=answer)
            assert told.status_code == 200, told.text
            state = told.json()
        return state


@contextmanager
def opened(room: Room, settings: Settings, adjudicator: str | None = None) -> Iterator[RoomServer]:
    with Journal(room.journal) as journal:
        server = RoomServer(room, settings, journal, adjudicator=adjudicator)
        serving = threading.Thread(target=server.serve)
        serving.start()
        try:
            yield server
        finally:
            server.stop()
            serving.join()


@contextmanager
def as_command(
    folder: Path, *arguments: str
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """`bsky-assets labels room` as a process, and the addresses that it printed."""
    command = [sys.executable, "-m", "bsky_assets", "labels", "room", *arguments]
    environment = plain_environment() | {
        "BSKY_DATA_DIR": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        addresses = {}
        for line in process.stdout:
            if found := re.fullmatch(r"(\w+): (http://\S+)\n", line):
                addresses[found[1]] = found[2]
            if "saved" in line:
                break
        yield process, addresses
    finally:
        process.kill()
        process.wait()
