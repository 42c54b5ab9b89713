"""The folder of reports on loopback, so that the UI can lead to them: no page follows a link from
`http://` to a file.

What does not belong here: what is in a report, and who links to it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
PORT = 3001
"""Always the same one where it is free, so that links of other days still lead somewhere."""


class _Reports(SimpleHTTPRequestHandler):
    """Serves the pages of a folder, to this machine's own addresses, and lists nothing."""

    def parse_request(self) -> bool:
        """Also refuse who was led here by a name that is not this machine's."""
        if not super().parse_request():
            return False
        if self.headers.get("Host", "").rpartition(":")[0] in (HOST, "localhost"):
            return True
        self.send_error(403)
        return False

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the reports of `folder` until the block ends; yields the URL of the folder."""
    handler = partial(_Reports, directory=str(folder))
    try:
        server = ThreadingHTTPServer((HOST, PORT), handler)
    except OSError:
        server = ThreadingHTTPServer((HOST, 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
