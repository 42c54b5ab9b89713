"""Ports for servers that have to be told theirs.

They are below those that the system gives to whoever asks for any, so that between the choice and
the server's start no other socket gets one.
"""

import os
import socket
from itertools import count

LOWEST, HIGHEST = 20_000, 30_000
_APART = 97
"""Processes that began one after the other, as those of a suite do, look at others first."""

_next = count(os.getpid() * _APART)


def free_port() -> int:
    """A port of loopback on which nobody listens; none is given twice soon."""
    while True:
        port = LOWEST + next(_next) % (HIGHEST - LOWEST)
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
