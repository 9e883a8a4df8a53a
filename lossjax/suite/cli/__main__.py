"""`lossjax VERB [ARGUMENTS]`, also as `python -m lossjax.suite.cli VERB ...`."""

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from lossjax.suite.cli.environment import on_stops, settle
from lossjax.syntax import nearest

# The package whose __main__ has the main of a verb, and what the verb does.
VERBS: Mapping[str, tuple[str, str]] = {
    "sweep": (
        "sweep",
        "trains the grid of --config, writes the report, prints the comparison",
    ),
    "report": ("report", "rebuilds tables, figures and report from stored runs"),
    "reproduce": (
        "reproduce",
        "rebuilds published figures, with published and reproduced numbers",
    ),
    "advise": ("advise", "recommends a loss for your own images, with evidence"),
    "verify": ("verify", "recomputes every number of a report from the stored runs"),
    "losses": ("cards", "prints the loss table, or one loss card"),
    "metrics": ("cards.yardsticks", "prints the metric table, or one metric card"),
    "data": ("data", "data list, data prepare NAME: datasets and their state"),
    "launch": ("launch", "runs a sweep on cloud TPU or any rented accelerator"),
    "soak": ("soak", "injects faults into real sweeps and counts what was lost"),
    "bench": ("bench", "measures speed against a PyTorch twin, in pairs"),
    "docs": ("docs", "builds README and docs/ as a site; needs a clone"),
}
_USAGE = """usage: lossjax VERB [ARGUMENTS]     (lossjax VERB --help tells more)
       lossjax --version | --completion"""
OF_A_CLONE = ("test",)  # which a clone's run.sh does itself


def _stop(number: int, _: object) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, b"\nlossjax: stopped; nothing had begun\n")
    os._exit(75)


def main() -> None:
    """Run the verb that the command line names; ends the process."""
    settle()
    # Imports take seconds: a Ctrl-C in them is one line, not a traceback.
    on_stops(_stop)
    if os.path.expanduser("~") == "~":
        _refuse("HOME is not set and this user has no home: export HOME=DIR")
    verb, *arguments = sys.argv[1:] or [""]
    if told := _OF_ITSELF.get(verb):
        print(told(), end="")
        return
    if verb in OF_A_CLONE:
        _refuse(f"{verb} needs a clone of the repository: ./run.sh {verb} there")
    if verb not in VERBS:
        wanted = verb in ("-h", "--help", "help")
        stream = sys.stdout if wanted else sys.stderr
        if verb and not wanted:
            near = nearest(verb, VERBS)
            hint = f"; did you mean {near}?" if near else ""
            print(f"lossjax: unknown verb {verb!r}{hint}", file=stream)
        print(_USAGE, file=stream)
        for name, (_, what) in VERBS.items():
            print(f"  {name:<10} {what}", file=stream)
        sys.exit(0 if wanted else 2)
    try:
        program = importlib.import_module(f"lossjax.suite.{VERBS[verb][0]}.__main__")
        from lossjax.suite.cli.signals import run

        run(program.main, arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lossjax":
            raise
        _refuse(
            f"{verb} needs lossjax[suite]: pip install 'lossjax[suite]' "
            f"({error.name} is not installed)"
        )


def version() -> str:
    """The version of the clone, else of what is installed."""
    import importlib.metadata
    import tomllib

    clone = Path(__file__).parents[3] / "pyproject.toml"
    try:
        text = clone.read_text(encoding="utf-8")
        number = tomllib.loads(text)["project"]["version"]
    except OSError:
        number = importlib.metadata.version("lossjax")
    return f"lossjax {number}\n"


def completion() -> str:
    """What a shell reads to complete verbs and flags."""
    text = Path(__file__).with_name("completion.bash").read_text(encoding="utf-8")
    return text.replace("VERBS", " ".join((*VERBS, *_OF_ITSELF)))


_OF_ITSELF = {"--version": version, "--completion": completion}


def _refuse(why: str) -> NoReturn:
    print(f"lossjax: {why}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
