"""How every program reads its flags and how it ends.

Flags are absl's; the programs parse them themselves, so that an unknown flag, a bad
value or a stray argument is one line and exit code 2, never a traceback.
"""

import contextlib
import enum
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags
from ml_collections import config_flags

from lossjax.suite import shipped
from lossjax.suite.config import Sweep, UserError, parse_axis, resolve, unknown


class Exit(enum.IntEnum):
    """Exit codes, the same for every verb."""

    DONE = 0
    FAILED = 1  # some runs failed, the disk is full, or verify found a mismatch
    USAGE = 2  # nothing was written
    SELF_TEST = 70
    INTERRUPTED = 75  # resume me


class Interrupted(Exception):
    """Ctrl-C or SIGTERM; its text says how to go on."""


class SelfTestFailed(Exception):
    """The platform computes wrong numbers."""


class Interrupts:
    """Turns SIGINT and SIGTERM into Interrupted.

    At once, but inside `held` only when long work looks: so a run under training stops
    between steps, with its state saved. A second Ctrl-C stops at once even there.
    """

    def __init__(self) -> None:
        self._seen = self._held = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, _: Any) -> None:
        if not self._held or (self._seen and number == signal.SIGINT):
            raise Interrupted("stopped")
        self._seen = True

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


def run(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """Run a program on its arguments and exit with its code."""
    try:
        Interrupts()
        code = main(arguments)
    except UserError as error:
        code = _say(error, Exit.USAGE)
    except SelfTestFailed as error:
        code = _say(error, Exit.SELF_TEST)
    except Interrupted as error:
        code = _say(error, Exit.INTERRUPTED)
    except BrokenPipeError:
        code = Exit.DONE  # the reader, `head` say, has seen enough
    except OSError as error:
        code = _say(error, Exit.FAILED)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass
    # Not sys.exit: a compilation still running in a thread must not hold us back.
    os._exit(code)


def _say(problem: object, code: Exit) -> Exit:
    print("lossjax: " + _spoken(" ".join(str(problem).split())), file=sys.stderr)
    return code


def _spoken(text: str) -> str:
    """A text with its commands as they are typed here."""
    return text.replace("./run.sh", shipped.COMMAND)


def parse(
    values: flags.FlagValues, arguments: list[str], usage: str, operands: int = 0
) -> list[str]:
    """Parse flags strictly; at most `operands` other arguments, which are returned.

    `--help` prints `usage` and the flags and ends the program.

    Raises:
      UserError: an unknown flag, a bad value or a stray argument.
    """
    if any(argument in ("--help", "-help", "-h", "--h") for argument in arguments):
        print(_spoken(usage.strip()) + "\n\nFlags:\n" + _help(values))
        raise SystemExit(Exit.DONE)
    try:
        _, *rest = values(["lossjax", *arguments])
    except flags.UnrecognizedFlagError as error:
        raise unknown("flag", f"--{error.flagname}", _names(values)) from None
    except flags.Error as error:
        raise UserError(str(error)) from None
    if len(rest) > operands:
        raise UserError(f"stray argument {rest[operands]!r}; a flag is --name=value")
    return rest


def _names(values: flags.FlagValues) -> list[str]:
    return [f"--{name}" for name in values if "." not in name]


def _help(values: flags.FlagValues) -> str:
    lines = []
    for name in values:
        if "." in name:
            continue
        default = values[name].default
        shown = "" if default in (None, False) else f" (default {default})"
        lines.append(f"  --{name}: {values[name].help}{shown}")
    return "\n".join(lines)


class _AxisParser(flags.ArgumentParser):
    """Reads a tuple field; see `lossjax.suite.config.parse_axis`."""

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return parse_axis(argument) if isinstance(argument, str) else tuple(argument)

    def flag_type(self) -> str:
        return "list"


def parse_sweep(
    values: flags.FlagValues, arguments: list[str], default: str, usage: str
) -> tuple[str, Sweep]:
    """Parse flags with `--config=NAME[:arg]` and `--config.FIELD=VALUE` among them.

    Returns:
      The config's name (its file's stem) and the validated sweep.

    Raises:
      UserError: as `parse`; also a config file that is absent, broken or invalid.
    """
    arguments = _joined(arguments)
    fields = list(Sweep.__dataclass_fields__)
    chosen = default
    for argument in arguments:
        name, _, value = argument.lstrip("-").partition("=")
        if name == "config":
            chosen = value
        elif name.startswith("config."):
            field = name.removeprefix("config.")
            if field not in fields:
                raise unknown("config field", field, fields)
    path, _, extra = chosen.partition(":")
    file = shipped.config(path)
    arguments = [a for a in arguments if not a.lstrip("-").startswith("config=")]
    arguments = [f"--config={file}" + (extra and f":{extra}"), *arguments]
    config_flags.register_flag_parser_for_type(tuple, _AxisParser())
    try:
        holder = config_flags.DEFINE_config_file(
            "config",
            help_string="config file, with [:argument]",
            flag_values=values,
            sys_argv=arguments,
        )
        parse(values, arguments, usage)
        return file.stem, resolve(holder.value)
    except (UserError, SystemExit):
        raise
    except Exception as error:  # a config file is executed Python: anything may come
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"config {path}: {text}") from None


def _joined(arguments: list[str]) -> list[str]:
    """`--config FILE` as `--config=FILE`."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--config", "-config"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
