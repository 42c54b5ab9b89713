"""Object storage on loopback: a bucket that moto keeps in memory."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from pyarrow import fs

from testbed.ports import free_port
from testbed.slurm_cluster import in_environment

START_SECONDS = 30


@contextmanager
def bucket(name: str) -> Iterator[str]:
    """Serve an empty bucket called `name`; yields the URL of the endpoint."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _create(f"{url}/{name}")
        yield url
    finally:
        server.kill()
        server.wait()


def _create(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urlopen(Request(url, method="PUT"), timeout=100).close()
            return
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def lake_in_bucket(folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve a bucket with what is in `folder`; yields the variables that lead to it.

    They are in this process's environment, too, as long as it is served.
    """
    with bucket("lake") as endpoint:
        variables = {
            "BSKY_LAKE_URL": "s3://lake/days",
            "BSKY_LAKE_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with in_environment(variables):
            there = fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1")
            fs.copy_files(str(folder), "lake/days", fs.LocalFileSystem(), there)
            yield variables
