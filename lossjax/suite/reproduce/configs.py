"""What a study trains: the sweeps of its config file, which it names by a string.

Any config file will do. One of several sweeps has, beside `get_config(name)`, which
gives one of them to `./run.sh sweep`, `sweeps(size)`, which gives all of them by name.
"""

import dataclasses
import itertools
import types
from collections.abc import Mapping

from ml_collections import ConfigDict

from lossjax.suite import loader, shipped, statistics
from lossjax.suite.cli.errors import unknown
from lossjax.suite.config import Sweep, resolve, sweep

FOLDER = shipped.CONFIGS


def config(text: str) -> types.ModuleType:
    """A config file's module: what a study counts by is said once, in there.

    Raises:
      UserError: there is no such file, or it does not run.
    """
    return loader.load(loader.find(text, FOLDER, "config"))


def sweeps(text: str, size: str) -> Mapping[str, Sweep]:
    """The sweeps of `CONFIG` or `CONFIG:argument` at a size, by name.

    Raises:
      UserError: as `config`; also a bad field or argument.
    """
    path, _, argument = text.partition(":")
    module = config(path)
    several = hasattr(module, "sweeps")
    if several and not argument:
        return module.sweeps(size)
    if several:
        whole = _named(module.sweeps(), argument)
    else:
        whole = resolve(module.get_config(*([argument] if argument else [])))
    less = min(1, 20 / max(whole.step_counts))
    small = dataclasses.replace(
        whole,
        seeds=whole.seeds[:2],
        train_steps=min(20, whole.train_steps),
        budgets=tuple(dict.fromkeys(max(1, int(b * less)) for b in whole.budgets)),
    )
    name = argument or loader.find(path, FOLDER, "config").stem
    return {name: small if size == "quick" else whole}


def one_of(planned: Mapping[str, Sweep], name: str) -> ConfigDict:
    """The sweep of that name, for `get_config`; commas and spaces are not typed.

    A study that counts something else may have few seeds; `./run.sh sweep` compares the
    losses, so it gets as many as can decide between them.

    Raises:
      UserError: there is none.
    """
    whole = _named(planned, name)
    needed = statistics.seeds_needed(len(whole.losses) - 1)
    more = (n for n in itertools.count() if n not in whole.seeds)
    extra = itertools.islice(more, max(0, needed - len(whole.seeds)))
    return sweep(**vars(whole) | {"seeds": (*whole.seeds, *extra)})


def _named(planned: Mapping[str, Sweep], name: str) -> Sweep:
    short = {n.replace(", ", "-").replace(" ", ""): s for n, s in planned.items()}
    if name not in short:
        raise unknown("sweep of the config", name, short)
    return short[name]
