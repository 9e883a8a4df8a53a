"""How a program is stopped: at once, or where long work looks."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from lossjax.suite.cli.commandline import define, expanded, file_of, parse_sweep
from lossjax.suite.cli.environment import STOPS
from lossjax.suite.cli.errors import Interrupted, UserError
from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.shipped import ROOT

EVERY = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    held = {n: signal.getsignal(n) for n in STOPS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    yield
    for number, handler in held.items():
        signal.signal(number, handler)


@EVERY
def test_a_signal_stops_at_once(number: signal.Signals) -> None:
    Interrupts()
    with pytest.raises(Interrupted):
        signal.raise_signal(number)


@EVERY
def test_a_signal_waits_until_long_work_looks(number: signal.Signals) -> None:
    interrupts, steps = Interrupts(), []
    with pytest.raises(Interrupted), interrupts.held():
        signal.raise_signal(number)
        steps.append("the step is finished")
        interrupts.check()
        steps.append("not another one")
    assert steps == ["the step is finished"]


def test_a_signal_at_the_end_of_long_work_is_not_forgotten() -> None:
    interrupts = Interrupts()
    with pytest.raises(Interrupted), interrupts.held():
        signal.raise_signal(signal.SIGTERM)


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    """As `nohup` has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Interrupts()
    signal.raise_signal(signal.SIGHUP)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(Interrupted), Interrupts().held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("went on")


def test_a_signal_ends_the_wait_for_work_in_another_thread() -> None:
    interrupts, work = Interrupts(), Future[None]()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(Interrupted), interrupts.held():
        interrupts.wait([work])
    timer.join()


def test_the_wait_ends_with_the_work() -> None:
    works = [Future[None](), Future[None]()]
    works[1].set_exception(ValueError("theirs"))
    threading.Timer(0.1, works[0].set_result, (None,)).start()
    Interrupts().wait(works)
    assert all(work.done() for work in works)


@EVERY
def test_whatever_a_program_does_it_ends_with_75_and_one_line(
    number: signal.Signals,
) -> None:
    code = (
        "import time\n"
        "from lossjax.suite.cli.signals import run\n"
        "def main(_):\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
        "run(main, [])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    began = time.monotonic()
    process.send_signal(number)
    _, error = process.communicate(timeout=50)
    assert (process.returncode, error) == (75, "lossjax: stopped\n")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "body",
    [
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "raise ValueError('two\\nlines')",
        "return get_config()",
        "return None",
    ],
)
def test_a_config_that_ends_the_program_is_one_line(body: str, tmp_path: Path) -> None:
    file = tmp_path / "c.py"
    file.write_text(f"def get_config():\n    {body}\n")
    with pytest.raises(UserError, match="c.py") as caught:
        parse_sweep(define(), [f"--config={file}"], "")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_what_is_no_file_is_not_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("pipe", "no file that could be replaced"),
        (".", "no file that could be replaced"),
        ("none/log.json", "its folder does not exist"),
    ):
        with pytest.raises(UserError, match=f"^--log=.*{words}$"):
            file_of("--log", str(tmp_path / name))
    assert file_of("--log", str(tmp_path / "new")) == tmp_path / "new"


def test_home_of_a_path_is_meant_where_no_shell_sees_it(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/a b")
    given = ["--out=~/x", "-to=~", "--config.datasets=images:~/x", "--only=a~b", "~/y"]
    wanted = ["--out=/a b/x", "-to=/a b", *given[2:]]
    assert expanded(given) == wanted
    with pytest.raises(UserError, match="^--out=~nouser: there is no such user"):
        expanded(["--out=~nouser/x"])


def test_a_signal_while_a_config_is_read_is_no_mistake_in_it(tmp_path: Path) -> None:
    file = tmp_path / "c.py"
    file.write_text(
        "import signal\ndef get_config():\n    signal.raise_signal(signal.SIGTERM)\n"
    )
    Interrupts()
    with pytest.raises(Interrupted):
        parse_sweep(define(), [f"--config={file}"], "")
