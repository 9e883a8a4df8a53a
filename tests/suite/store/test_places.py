"""Results in an object store: a local S3 server stands for the real one."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typed_commands import SMALL, environment, python

from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT
from lossjax.suite.store import places

# Runs in a process of its own: the tests themselves may not open a connection.
CLIENT = """
from lossjax.suite.store import places
from lossjax.suite.store import results as store
out = places.parse("s3://bucket/direct")
a, b = (out / "runs" / (16 * name) / "result.json" for name in "ab")
places.put(a, b"one")
places.put(a, b"two")
assert places.read(a) == b"two"
try:
    places.read(b)
except FileNotFoundError:
    pass
else:
    raise AssertionError("read what is not there")
assert places.read_all([a, b]) == {a: b"two"}
assert places.names(out) == {"runs"} and places.names(out / "none") == set()
with places.nearby(out, store.EVIDENCE) as near:
    assert (near / "runs" / (16 * "a") / "result.json").read_bytes() == b"two"
places.remove(a)
places.remove(a)
assert places.read_all([a, b]) == {}
places.check(out, writing=True)
assert list(out.fs.find("bucket/direct")) == [], "the probe was left behind"
"""
# Keys that only a store can have; a path would take them for other places.
ODD = """
import sys
from pathlib import Path
from lossjax.suite.store import places
from lossjax.suite.store import results as store
from lossjax.suite.store import sealing
from lossjax.suite.launch import actions
home = Path(sys.argv[1])
out = places.parse("s3://bucket/odd")
run = f"runs/{16 * 'a'}/result.json"
stored = [
    "sweep.json", run, f"/{home}/sweep.json", f"{home}/{run}", "/sweep.json",
    "../sweep.json", "runs/../../sweep.json", "runs/..../result.json",
    "runs/backup/result.json", "deep/sweep.json", f"deep/{run}", f"{run}.old",
]
described = sealing.sealed({"losses": []}).encode()
for key in stored:
    out.fs.call_s3("put_object", Bucket="bucket", Key=f"odd/{key}", Body=described)
assert actions.bring(out, home / "to") == 2
found = {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}
assert found == {"to/sweep.json", f"to/{run}"}, found
"""
# What stands at a prefix before a sweep, and the words with which it is refused.
FOREIGN = """
import sys
from pathlib import Path
from lossjax.suite.store import ownership, places
from lossjax.suite.store import results as store
from lossjax.suite.cli.errors import UserError
def refused(check, *arguments):
    try:
        check(*arguments)
    except UserError as error:
        return str(error)
    return ""
out, place = (places.parse(f"s3://bucket/foreign{end}") for end in ("", "/report"))
ownership.check(out)
places.put(out / ".writable.0123456789abcdef0123456789abcdef", b"")
places.put(out / "runs" / (16 * "a") / "result.json", b"")
ownership.check(out)
places.put(out / "mine.csv", b"mine")
assert "holds mine.csv and no sweep.json" in refused(ownership.check, out)
places.put(out / "sweep.json", b"program: train.py")
assert "sweep.json" in refused(ownership.check, out)
store.write_sweep(out, {"losses": []})
ownership.check(out)
def send(*names):
    fresh = Path(sys.argv[1], "-".join(names))
    for name in names:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(b"ours")
    ownership.record_report(fresh)
    return refused(ownership.send_report, fresh, place)
def there():
    return set(places.keys(place))
assert not send("index.html", "tables/a.csv")
assert there() == {"index.html", "tables/a.csv", "files.json"}
# Killed while it was sent: what is there is listed, so the next one replaces it.
put, places.put = places.put, lambda path, content: put(path, content) or sys.exit()
try:
    send("index.html", "tables/b.csv")
except SystemExit:
    pass
places.put = put
assert not send("index.html", "tables/c.csv")
assert there() == {"index.html", "tables/c.csv", "files.json"}
ownership.check(out)
places.put(place / "tables" / "mine.csv", b"mine")
assert "report/tables/mine.csv was not written" in refused(ownership.check, out)
assert "report/tables/mine.csv was not written" in send("index.html")
assert there() == {"index.html", "tables/c.csv", "tables/mine.csv", "files.json"}
# A list that names what lies elsewhere removes nothing there.
places.remove(place / "tables" / "mine.csv")
names = '["../mine.csv", "files.json", "index.html", "tables/c.csv"]'
places.put(place / "files.json", f'{{"made_by": "lossjax", "files": {names}}}'.encode())
assert not send("index.html", "d.csv")
assert places.read(out / "mine.csv") == b"mine"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """What a client's environment holds to reach a server with one bucket."""
    code = (
        "from moto.server import ThreadedMotoServer as S\n"
        "import boto3, sys\n"
        "s = S(ip_address='127.0.0.1', port=0, verbose=False)\n"
        "s.start()\n"
        "host, port = s.get_host_and_port()\n"
        "url = f'http://{host}:{port}'\n"
        "boto3.client('s3', endpoint_url=url).create_bucket(Bucket='bucket')\n"
        "print(url, flush=True)\n"
        "sys.stdin.read()\n"
    )
    keys = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**keys),
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1"), url
    yield keys | {"AWS_ENDPOINT_URL": url}
    process.communicate("", timeout=30)


def test_a_directory_is_a_plain_path(tmp_path: Path) -> None:
    assert type(places.parse(str(tmp_path))) is type(tmp_path)
    assert not places.is_remote(places.parse("results/local"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s4://bucket", ["unknown store", "did you mean 's3://'", "gs://"]),
        ("s3://", ["names no bucket"]),
        ("gs:///", ["names no bucket"]),
        ("s3:/bucket/x", ["a store is written s3://BUCKET"]),
        ("x\0y", ["cannot hold a NUL"]),
        ("gs://bucket/x", ["gcsfs", "LOSSJAX_EXTRA=store"]),
    ],
)
def test_a_bad_place_is_one_line(text: str, words: list[str], monkeypatch) -> None:
    find = places.importlib.util.find_spec
    monkeypatch.setattr(
        places.importlib.util, "find_spec", lambda n: None if n == "gcsfs" else find(n)
    )
    with pytest.raises(UserError) as refusal:
        places.parse(text)
    for word in words:
        assert word in str(refusal.value)


def test_report_and_verify_say_how_to_read_a_store() -> None:
    with pytest.raises(UserError, match="launch fetch --out=s3://bucket/x"):
        places.local("s3://bucket/x")


@pytest.mark.slow
@pytest.mark.parametrize("code", [CLIENT, ODD, FOREIGN], ids=("client", "odd", "own"))
def test_what_the_client_does(
    server: dict[str, str], tmp_path: Path, code: str
) -> None:
    ended = python("-c", code, str(tmp_path), **server)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("out", "more", "words"),
    [
        ("s3://nowhere/x", {}, "no bucket 'nowhere'"),
        ("s3://bucket/x", {"AWS_ACCESS_KEY_ID": ""}, "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_exit_2(
    server: dict[str, str], out: str, more: dict[str, str], words: str
) -> None:
    ended = python(
        "-m", "lossjax.suite.cli", "sweep", *SMALL, f"--out={out}", **server | more
    )
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr and len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_store_that_is_silent_is_waited_for_no_longer_than_the_limit() -> None:
    code = (
        "from lossjax.suite.store import places\n"
        "places._PATIENCE = 1.0\n"
        "for writing in (True, False):\n"
        "    try:\n"
        "        places.check(places.parse('s3://bucket/x'), writing=writing)\n"
        "    except places.UserError as error:\n"
        "        print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        ended = python("-c", code, AWS_ENDPOINT_URL=url, **keys)
    said = ended.stdout.splitlines()
    assert len(said) == 2 and all("no answer in 1 s" in line for line in said), ended


@pytest.mark.slow
def test_a_sweep_in_a_store_killed_and_resumed_equals_the_plain_one(
    server: dict[str, str], tmp_path: Path
) -> None:
    # Two programs: what the second trains is not stored with the runs of the first.
    two = "--config.latent_dims=2,3"
    command = ["-m", "lossjax.suite.cli", "sweep", *SMALL, two]
    plain = python(*command, f"--out={tmp_path / 'plain'}")
    assert plain.returncode == 0, plain.stderr
    remote = [*command, "--out=s3://bucket/sweep"]
    process = subprocess.Popen(
        [sys.executable, *remote],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(**server),
    )
    # One process that watches: a sweep ends within the time that python takes to start.
    watch = (
        "import time\n"
        "from lossjax.suite.store import places\n"
        "out = places.parse('s3://bucket/sweep')\n"
        "found = lambda: [k for k in out.fs.find(out.path) if 'result.json' in k]\n"
        "while len(found()) < 3: time.sleep(0.01); out.fs.invalidate_cache()\n"
    )
    watched = python("-c", watch, **server)
    assert watched.returncode == 0, watched.stderr
    assert process.poll() is None, "it ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = python(*remote, **server)
    assert done.returncode == 0, done.stderr
    assert "runs are stored and kept" in done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("report: s3://bucket/sweep")
    far = f"--to={tmp_path / 'far'}"
    fetched = python(
        *("-m", "lossjax.suite.cli", "launch", "fetch", "--out=s3://bucket/sweep", far),
        **server,
    )
    assert fetched.returncode == 0, fetched.stderr
    assert "mse on test images" in fetched.stdout
    tables = sorted((tmp_path / "plain/report/tables").iterdir())
    assert len(tables) > 3
    for table in tables:
        made = tmp_path / "far/report/tables" / table.name
        assert made.read_bytes() == table.read_bytes(), table.name
