"""A relay that sends frames as fast as they are taken, in a process of its own.

It writes ready-made WebSocket frames to the socket, a hundred at once and with their numbers put
in, so that it waits for the client and not the client for it.
Usage: python -m benchmarks.wire_server EVENTS [FOLDER WITH server.pem]; prints its port.
"""

import asyncio
import base64
import hashlib
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import trustme

from benchmarks.wire_frames import FIRST_SEQ, frames, place_of_seq

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BATCH = 100
_NUMBER = struct.Struct(">Q")
_DISTINCT = 5_000
"""Frames that are made; after them they come again with other numbers."""


@dataclass(frozen=True)
class Server:
    """Where it listens, and the certificate of who vouches for it."""

    url: str
    authority: Path | None


@contextmanager
def serving(events: int, *, tls: bool = False) -> Iterator[Server]:
    """A relay with so many events (a multiple of a hundred), numbered from `FIRST_SEQ`."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.wire_server", str(events)]
        authority = Path(folder, "authority.pem")
        if tls:
            issuer = trustme.CA()
            issuer.cert_pem.write_to_path(authority)
            chain = issuer.issue_cert("localhost").private_key_and_cert_chain_pem
            chain.write_to_path(Path(folder, "server.pem"))
            command.append(folder)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Server(f"{'wss' if tls else 'ws'}://localhost:{port}", authority if tls else None)
        finally:
            process.kill()
            process.wait()


class _Batch:
    """WebSocket messages that follow one another, whose numbers can be set."""

    def __init__(self, frames: list[bytes]) -> None:
        self._bytes = bytearray()
        self._places: list[int] = []
        for frame in frames:
            self._bytes += _head(len(frame))
            self._places.append(len(self._bytes) + place_of_seq(frame))
            self._bytes += frame

    def numbered(self, first: int) -> bytes:
        for seq, place in enumerate(self._places, first):
            _NUMBER.pack_into(self._bytes, place, seq)
        return bytes(self._bytes)


def _head(length: int) -> bytes:
    return bytes((0x82, length)) if length < 126 else b"\x82\x7e" + length.to_bytes(2, "big")


class _Relay:
    def __init__(self, wire: list[bytes], events: int) -> None:
        starts = range(0, len(wire), _BATCH)
        self._batches = [_Batch(wire[start : start + _BATCH]) for start in starts]
        self._events = events

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = urlsplit(request.split(" ")[1])
        cursor = int(parse_qs(path.query).get("cursor", [FIRST_SEQ - 1])[0])
        key = next(
            line.split(":", 1)[1].strip()
            for line in request.split("\r\n")
            if line.lower().startswith("sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        try:
            for number in range((cursor + 1 - FIRST_SEQ) // _BATCH, self._events // _BATCH):
                if writer.is_closing():
                    return
                batch = self._batches[number % len(self._batches)]
                writer.write(batch.numbered(FIRST_SEQ + number * _BATCH))
                await writer.drain()
            await reader.read()
        except ConnectionError:
            pass


async def _main(events: int, folder: str | None) -> None:
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(folder, "server.pem"))
    relay = _Relay(frames(min(events, _DISTINCT)), events)
    server = await asyncio.start_server(relay.serve, "localhost", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
