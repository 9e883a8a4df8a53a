"""A local S3 server with one bucket, in a process of its own, that counts requests."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from typed_commands import environment

_SERVER = """
import sys
import boto3
from moto.server import DomainDispatcherApplication, ThreadedMotoServer
answer = DomainDispatcherApplication.__call__
log = open(sys.argv[1], "a", buffering=1)
def noted(self, environ, start):
    keys = "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"
    print(*(environ[key] for key in keys), file=log)
    return answer(self, environ, start)
DomainDispatcherApplication.__call__ = noted
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
boto3.client("s3", endpoint_url=url).create_bucket(Bucket="bucket")
print(url, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def served(log: Path) -> Iterator[dict[str, str]]:
    """What a client's environment holds to reach the server.

    It writes a line for each request to `log`, which REQUESTS names.
    """
    keys = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "REQUESTS": str(log),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(**keys),
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1"), url
    yield keys | {"AWS_ENDPOINT_URL": url}
    process.communicate("", timeout=30)
