"""Results in an object store: a local S3 server stands for the real one."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import served
from typed_commands import SMALL, environment, python

from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT
from lossjax.suite.store import places, results
from lossjax.suite.sweep import __main__ as sweep

# Runs in a process of its own: the tests themselves may not open a connection.
CLIENT = """
from lossjax.suite.store import places
out = places.parse("s3://bucket/direct")
a, b = (out / "packs" / name for name in "ab")
places.put(a, b"one")
places.put(a, b"two")
assert places.read(a) == b"two"
try:
    places.read(b)
except FileNotFoundError:
    pass
else:
    raise AssertionError("read what is not there")
assert places.names(out) == {"packs"} and places.names(out / "none") == set()
places.put(b, b"")
assert places.keys(out) == ["packs/a", "packs/b"] and places.keys(out / "none") == []
assert places.keys(out / "packs", "b") == ["b"]
places.remove(a)
places.remove(a)
places.remove(b)
places.check(out, writing=True)
assert list(out.fs.find("bucket/direct")) == [], "the probe was left behind"
"""
# Keys that only a store can have, and packs that hold what a path would take for other
# places; nothing of it is brought.
ODD = """
import io
import sys
import zipfile
from pathlib import Path
from lossjax.suite.store import places
from lossjax.suite.store import sealing
from lossjax.suite.launch import actions
home = Path(sys.argv[1])
out = places.parse("s3://bucket/odd")
def pack(member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, b"{}")
    return buffer.getvalue()
run = f"runs/{16 * 'a'}/result.json"
name = "01234567-0-9-0123456789ab-{:08d}.zip"
for key in (
    f"/{home}/sweep.json", "/sweep.json", "../sweep.json", "deep/sweep.json",
    f"packs/../{name}", f"packs/deep/{name}", f"packs/{name}.old", "packs/backup.zip",
    run, f"states/{name}",
):
    out.fs.call_s3("put_object", Bucket="bucket", Key=f"odd/{key}", Body=pack(run))
described = sealing.sealed({"losses": []}).encode()
places.put(out / "sweep.json", described)
members = [run, f"/{home}/{run}", f"../{run}", "runs/../../sweep.json", f"{run}.old"]
for number, member in enumerate(members):
    places.put(out / "packs" / name.format(number), pack(member))
whole = pack(run)
for number, content in enumerate((whole[:-9], whole[9:], b"", b"no zip"), 5):
    places.put(out / "packs" / name.format(number), content)
came = actions.bring(out, home / "to")
assert (came.runs, came.packs, came.before) == (1, 1, 0)
assert sorted(came.damaged) == [f"packs/{name.format(n)}" for n in range(1, 9)]
found = {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}
assert found == {"to/sweep.json", "to/fetched.json", f"to/{run}"}, found
"""
# Two processes that train one grid: what the other has stored is read once.
SHARED = """
from lossjax.suite.store import destination, places
from lossjax.suite.store.results import Result, Run
out = places.parse("s3://bucket/shared")
destination._ASK_SECONDS = 0.0
runs = [Run("digits", "ae", "bce", 0.1, seed, 4, 9, {}) for seed in range(6)]
other = Run("digits", "ae", "mse", 0.1, 2, 4, 9, {})
reads, read = [], places.read
places.read = lambda path, *most: reads.append(path) or read(path, *most)
def write(place, *results):
    with place.writer() as write:
        for run, status in results:
            write(Result(run, status))
def ids(*some):
    return {run.run_id for run in some}
here, there = (destination.of(out, runs) for _ in "ab")
assert not here.stored().results and not reads
write(here, (runs[0], "ok"))
write(there, (runs[1], "ok"), (runs[2], "failed"), (other, "ok"))
assert set(here.news(runs[:1])) == set() and not reads, "seeds say that it is not there"
assert set(here.news(runs[:2])) == ids(runs[1]) and len(reads) == 1
assert not here.news(runs) and len(reads) == 1, "known ones are not read again"
write(there, (runs[0], "failed"), (runs[1], "diverged"))
found = destination.of(out, runs).stored().results
assert {k: r.status for k, r in found.items()} == {runs[1].run_id: "diverged"}
try:
    with here.writer() as write:
        write(Result(runs[5], "ok"))
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
assert set(there.news(runs[5:])) == ids(runs[5]), "finished before an interruption"
"""
# States of interrupted runs: packed, for one request a program.
SAVED = """
import numpy as np
from lossjax.suite.store import checkpoint, places
from lossjax.suite.store.results import Run
out = places.parse("s3://bucket/saved")
runs = [Run("digits", "conv_ae", "bce", 0.1, seed, 4, 9, {}) for seed in range(6)]
def state(step):
    return checkpoint.Checkpoint(step, (np.arange(3.0) + step,), {"step": []}, {"a": 1})
def steps(states, made_by={"a": 1}):
    found = [states.read(run, made_by) for run in runs]
    return [one and one.step for one in found]
states = checkpoint.states_of(out)
assert steps(states) == [None] * 6
states.save((run, state(4)) for run in runs[:4])
states.save((run, state(7)) for run in runs[:2])
states.save((run, state(8)) for run in runs[:2])
assert len(places.keys(out)) == 2, "the state before goes"
assert steps(states) == [8, 8, 4, 4, None, None]
again = checkpoint.states_of(out)
reads, read = [], places.read
places.read = lambda path, *most: reads.append(path) or read(path, *most)
assert steps(again) == [8, 8, 4, 4, None, None] and len(reads) == 2, reads
assert steps(again, {"a": 2}) == [None] * 6
again.discard(runs[:3])
assert steps(again) == [None, None, None, 4, None, None]
(name,) = places.keys(out / "states")
whole = read(out / "states" / name)
for spoiled in (whole[:-5], whole.replace(b"leaf0", b"leaf1", 1), b"", whole[1:]):
    places.put(out / "states" / name, spoiled)
    bad = checkpoint.states_of(out)
    try:
        bad.read(runs[3], {"a": 1})
    except ValueError as error:
        assert str(error).startswith(f"states/{name}: damaged"), error
    else:
        raise AssertionError("a damaged state was read")
    assert steps(bad) == [None] * 6 and places.keys(out) == [], "named once, removed"
again.discard(runs)
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
places.put(out / "packs" / "01234567-0-9-0123456789ab-01234567.zip", b"")
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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a client's environment holds to reach a server with one bucket."""
    with served(tmp_path_factory.mktemp("server") / "requests") as variables:
        yield variables


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
@pytest.mark.parametrize("code", ["CLIENT", "ODD", "SHARED", "SAVED", "FOREIGN"])
def test_what_the_client_does(
    server: dict[str, str], tmp_path: Path, code: str
) -> None:
    code = globals()[code]
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
    assert not sweep.main([*SMALL, two, f"--out={tmp_path / 'plain'}"])
    remote = ["-m", "lossjax.suite.cli", "sweep", *SMALL, two]
    remote += ["--out=s3://bucket/sweep"]
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
        "found = lambda: [k for k in out.fs.find(out.path) if '/packs/' in k]\n"
        "while not found(): time.sleep(0.01); out.fs.invalidate_cache()\n"
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


@pytest.mark.slow
def test_few_requests_a_run_and_only_what_is_new_is_fetched(
    server: dict[str, str], tmp_path: Path
) -> None:
    """Packs of 64 runs on two cores; on an accelerator they are up to 4,096."""
    log, out = Path(server["REQUESTS"]), "--out=s3://bucket/counted"

    def asked(*arguments: str) -> tuple[list[str], str]:
        """The requests of a command, and what it said."""
        log.write_text("")
        ended = python("-m", "lossjax.suite.cli", *arguments, out, **server)
        assert ended.returncode == 0, ended.stderr
        return log.read_text().splitlines(), ended.stdout

    def counted(seeds: int) -> tuple[list[str], str]:
        named = f"--config.seeds={','.join(map(str, range(seeds)))}"
        rates = "--config.learning_rates=1e-2,"
        # A shard writes no report.
        return asked("sweep", *SMALL, rates, named, "--shard=0/2")

    def packs(requests: list[str]) -> list[str]:
        return [line for line in requests if "GET" in line and ".zip" in line]

    few, _ = counted(32)
    more, said = counted(160)
    assert sum("PUT" in line and "zip" in line for line in more) == 2, "packs of 64"
    assert sum("packs" in line and "list" in line for line in more) == 1
    assert "32 runs are stored and kept" in said
    assert len(more) - len(few) < 0.1 * (160 - 32), more
    assert len(packs(more)) == 1, "its own are not read"

    fetch = "launch", "fetch", f"--to={tmp_path}"
    requests, said = asked(*fetch)
    assert "160 runs in 3 new packs" in said and len(packs(requests)) == 3
    requests, said = asked(*fetch)
    assert "0 runs in 0 new packs" in said and packs(requests) == []
    assert "3 packs were there" in said

    # Damage of one object costs its pack, which is named; its runs are trained again.
    spoil = (
        "from lossjax.suite.store import places\n"
        "out = places.parse('s3://bucket/counted/packs')\n"
        "name = sorted(places.keys(out), key=lambda name: name.split('-')[3])[-1]\n"
        "whole = bytearray(places.read(out / name))\n"
        # The sum of a file that the directory at the end has: in the file itself a bit
        # may end decompression, in other words.
        "whole[whole.index(b'PK\\1\\2') + 16] ^= 1\n"
        "places.put(out / name, bytes(whole))\n"
        "print(name)\n"
    )
    name = python("-c", spoil, **server).stdout.strip()
    requests, said = counted(160)
    assert f"damaged, not used: packs/{name}: damaged (Bad" in said
    assert "96 runs are stored and kept" in said
    # Only what is new, but for a run that somebody took away.
    found = results.load(tmp_path).results
    gone = next(tmp_path / "runs" / k for k, r in found.items() if r.run.seed == 0)
    shutil.rmtree(gone)
    requests, said = asked(*fetch)
    assert len(packs(requests)) == 2 and gone.is_dir()
    assert "damaged" not in said
