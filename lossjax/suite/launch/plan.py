"""What an engine is given, and the parts that engines share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lossjax.suite.launch.request import Request


@dataclass(frozen=True)
class LaunchPlan:
    """Files to write, commands to run in order, and what an operator should know."""

    files: Mapping[str, str]
    commands: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """One row of ENGINES.

    Attributes:
      program: what must be on PATH, and `install`: how it gets there.
      render: (request, folder of the files) -> LaunchPlan.
      found: request -> names of what exists under its label.
      status: request -> the command that shows it.
      delete: (request, name) -> the command that takes one of `found` away.
      admit: request -> None; UserError where the engine would take a job and find out
        only later that it has no account.
      gone: request -> names of those in `found` whose machine was taken away or is
        stopped for good; launched again, they are deleted first.
      validate: what the engine's own schema says of a file; empty where it has none.
      takes: flags of OPTIONS that it knows.
      shares: whether its machines have the folders of this one.
    """

    program: str
    install: str
    render: Callable[[Request, Path], LaunchPlan]
    found: Callable[[Request], list[str]]
    status: Callable[[Request], tuple[str, ...]]
    delete: Callable[[Request, str], tuple[str, ...]]
    validate: Callable[[str], str] = field(default=lambda text: "")
    admit: Callable[[Request], None] = field(default=lambda request: None)
    gone: Callable[[Request], list[str]] = field(default=lambda request: [])
    takes: tuple[str, ...] = ()
    shares: bool = False


# Images of TPU VMs carry Python 3.10, or one that refuses pip and may lack it; so the
# sweep brings its own.
SETUP = """\
set -eu
export PIP_BREAK_SYSTEM_PACKAGES=1
python3 -m pip --version > /dev/null 2>&1 || {
    sudo apt-get update -q && sudo apt-get install -qy python3-pip
}
python3 -m pip install --user --quiet uv
python3 -m uv venv --quiet --allow-existing --python 3.12 "$HOME/lossjax-python"
"""
# Found once a machine; store: the client that --out needs.
ENVIRONMENT = """\
export LOSSJAX_PYTHON="$HOME/lossjax-python/bin/python" LOSSJAX_EXTRA=store
"""


def as_yaml(value: object) -> str:
    """YAML with scripts as blocks, so that an operator can read them."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
