"""Runs an engine's program: argument lists only, a time limit, bounded retries."""

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT

ATTEMPTS = 4
BACKOFF = 2.0  # seconds before the second attempt; doubles
TIMEOUT = 900.0  # of one command; creating a machine takes minutes
# What an engine says, and what that means. The first match holds.
_CREDENTIALS = re.compile(
    r"not (?:currently )?logged in|no active account|auth login|credentials?\b.*"
    r"\b(?:not|no|missing|invalid|expired)\b|PERMISSION_DENIED|Access ?Denied|"
    r"no cloud access|core/project|"
    # A bare 401 or 403 may be a count, a size or a part of a name.
    r"\b(?:HTTP(?:/[\d.]+)?|HttpError|status(?:[ _]?code)?|code)\W{1,4}40[13]\b|"
    r"\b40[13]\W{1,3}(?:client error|unauthorized|forbidden)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"quota.*exceeded|exceeded.*quota|QUOTA_EXCEEDED|no more capacity|stockout|"
    r"POOL_EXHAUSTED|insufficient capacity",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"\b429\b|rate ?limit|too many requests|\b50[0234]\b|UNAVAILABLE|"
    r"connection (?:reset|refused|timed out)|temporarily",
    re.IGNORECASE,
)


class EngineFailed(OSError):
    """An engine's program failed for good; its text is one line. Exit code 1."""


@dataclass(frozen=True)
class Ended:
    output: str


def find(program: str, install: str) -> str:
    """The program's path; UserError says how to install it."""
    path = shutil.which(program)
    if path is None:
        raise UserError(f"{program} is not installed: {install}")
    return path


def run(
    command: Sequence[str], *, retry: bool = True, timeout: float | None = None
) -> Ended:
    """Run a command to its end.

    Only what passes by itself is tried again: rate limits, a server that is away. A
    command that hangs is ended; whether it had an effect is not known then.

    Raises:
      UserError: the engine does not let us in.
      EngineFailed: it failed, hung, or went on failing.
    """
    words = " ".join(command[:4])
    for attempt in range(1, ATTEMPTS + 1):
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                timeout=timeout or TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise EngineFailed(
                f"{words}: no answer in {timeout or TIMEOUT:.0f} s, ended"
            ) from None
        if ended.returncode == 0:
            return Ended(ended.stdout)
        said = " ".join((ended.stderr or ended.stdout).split())[-300:]
        if _PASSING.search(said) and retry and attempt < ATTEMPTS:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
            continue
        if _QUOTA.search(said):
            raise EngineFailed(f"{words}: no quota or capacity: {said}")
        if _CREDENTIALS.search(said) and not _PASSING.search(said):
            raise UserError(f"{words}: refused: {said}")
        tried = f" ({attempt} attempts)" if attempt > 1 else ""
        raise EngineFailed(f"{words}: exit code {ended.returncode}{tried}: {said}")
    raise AssertionError("unreachable")
