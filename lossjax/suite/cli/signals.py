"""How every program is started, stopped by a signal, and ended."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from lossjax.suite.cli import commandline
from lossjax.suite.cli.environment import on_stops
from lossjax.suite.cli.errors import Exit, Interrupted, SelfTestFailed, UserError
from lossjax.suite.shipped import spoken


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP (a lost connection) into Interrupted.

    At once, but inside `held` only when long work looks: so a run under training stops
    between steps, with its state saved. A second Ctrl-C stops at once even there.
    A thread that is not the main one gets no signals.
    """

    def __init__(self) -> None:
        self._seen = self._held = False
        # Its put may come in the middle of its get, as a signal does.
        self._events: SimpleQueue[Any] = SimpleQueue()
        if threading.current_thread() is threading.main_thread():
            on_stops(self._note)

    def _note(self, number: int, _: Any) -> None:
        if not self._held or (self._seen and number == signal.SIGINT):
            raise Interrupted("stopped")
        self._seen = True
        self._events.put(None)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Only `check` raises in here, and the end of it."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._seen:
            raise Interrupted("stopped between steps")

    def wait(self, futures: Iterable[Future[Any]]) -> None:
        """Return when all are done; raise Interrupted as soon as a signal comes."""
        for future in futures:
            future.add_done_callback(self._events.put)
            while not future.done():
                self._events.get()
                self.check()


def run(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """Run a program on its arguments and exit with its code."""
    try:
        Interrupts()
        code = main(commandline.expanded(arguments))
        sys.stdout.flush()
    except UserError as error:
        code = _say(error, Exit.USAGE)
    except SelfTestFailed as error:
        code = _say(error, Exit.SELF_TEST)
    except Interrupted as error:
        code = _say(error, Exit.INTERRUPTED)
    except OSError as error:
        code = _say(error, Exit.FAILED)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # said above, if it can be said
            stream.flush()
    # Not sys.exit: a compilation still running in a thread must not hold us back.
    os._exit(code)


def _say(problem: object, code: Exit) -> Exit:
    with contextlib.suppress(OSError):  # whoever was to read it may be gone
        print("lossjax: " + spoken(" ".join(str(problem).split())), file=sys.stderr)
    return code
