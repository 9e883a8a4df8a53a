"""What is asked of the programs, for `fuzz`: losses, models, configs and flags."""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lossjax
from lossjax import syntax
from lossjax.losses.checks import Choice
from lossjax.losses.gradient_cuts import CUTS
from lossjax.losses.mixtures import WEIGHT
from lossjax.losses.tuned_losses import tuned_loss
from lossjax.models import autoencoders
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import FIELDS
from lossjax.suite.shipped import CONFIGS
from lossjax.suite.soak import mutations
from lossjax.suite.sweep import __main__ as sweep
from lossjax.syntax import MIX, TUNE

_NUMBERS: tuple[str, ...] = (
    "0",
    "1",
    "-1",
    "0.5",
    "1e-3",
    "-0.0",
    "1e309",
    "nan",
    "inf",
    "1_0",
    "0x1",
)
_NUMBERS += ("True", "None", "'1'", "1j", "9" * 400, "1e-400", "2**9", "(1,)", "a.b")
# What a config file may do besides setting fields; `{}` is a strange value.
_BODIES = (
    "return sweep({field}={value})",
    "return sweep(**{{{name!r}: {value}}})",
    "return {value}",
    "raise ValueError({value})",
    "raise SystemExit({value})",
    "raise KeyboardInterrupt",
    "import sys; sys.exit({value})",
    "return get_config()",
    "c = sweep(); c.{field} = {value}; return c",
    "c = sweep(); del c.{field}; return c",
    "c = sweep(); c.unlock(); c[{name!r}] = {value}; return c",
    "from ml_collections import ConfigDict; return ConfigDict({{'x': {value}}})",
)
_HEAD = """from lossjax.suite.config import sweep

nan = float("nan")


def get_config():
"""
_FLAGS: tuple[str, ...] = (
    "--out=",
    "--shard=",
    "--platform=",
    "--config=",
    "--config.",
    "--dry_run=",
)
_FLAGS += ("--undefok=", "--flagfile=", "--helpxml", "--retrain", "--", "-", "--no")


def loss(folder: Path, generator: random.Random) -> str:
    """A loss with arguments, cuts and dials, a mix of two, or what looks like one."""
    rows = [(row.family, row.parameters) for row in lossjax.LOSSES.values()]
    cuts = generator.choices(("", f"[{'+'.join(generator.choices(list(CUTS), k=2))}]"))
    one = _call(rows, generator, generator.choice(("", "", *cuts)))
    if generator.random() < 0.3:
        words = [one, _call(rows, generator, ""), *_weight(generator)]
        one = f"{MIX}({', '.join(words)})"
    return one


def _weight(generator: random.Random) -> list[str]:
    """The last argument of a mix, or what looks like one."""
    numbers = [*_NUMBERS, *(repr(generator.random()) for _ in range(9))]
    chosen = generator.choices(numbers, k=generator.choice((1, 1, 2, 3)))
    value = chosen[0] if len(chosen) == 1 else f"{TUNE}({', '.join(chosen)})"
    return generator.choice(([], [f"{WEIGHT.name}={value}"], [f"x={value}"]))


def read_loss(text: str) -> None:
    """As a config's field, and each of its losses as a name of the library."""
    _read(text, lambda name: tuned_loss(name).name)
    for name in tuned_loss(text).losses:
        _read(name, lambda name: lossjax.resolve(name).name)


def model(folder: Path, generator: random.Random) -> str:
    """A model with arguments, or what looks like one."""
    rows = [(row.family, row.parameters) for row in autoencoders.MODELS.values()]
    return _call(rows, generator, "")


def read_model(text: str) -> None:
    _read(text, lambda name: autoencoders.resolve(name).name)


def _read(text: str, canonical: Callable[[str], str]) -> None:
    try:
        name = canonical(text)
    except ValueError as error:
        if not str(error).isprintable():  # UserError would hide it
            raise RuntimeError(f"no line: {error!r}") from None
        raise UserError(str(error)) from None
    if canonical(name) != name:
        raise RuntimeError(f"{name!r} is not read back")
    if len(syntax.items(name)) != 1:
        raise RuntimeError(f"{name!r} is cut in a list")


def _call(
    rows: Sequence[tuple[str, Sequence[Any]]], generator: random.Random, cuts: str
) -> str:
    family, parameters = generator.choice(rows)
    arguments = []
    chosen = generator.sample(list(parameters), generator.randint(0, len(parameters)))
    for one in chosen:
        if generator.random() < 0.3:
            value = generator.choice(_NUMBERS)
        elif isinstance(one, Choice):
            value = repr(generator.choice(one.valid))
        else:
            high = min(one.high, 10 + abs(one.low))
            drawn = [repr(generator.uniform(one.low, high)) for _ in range(3)]
            value = drawn[0]
            if generator.random() < 0.2:
                value = f"{TUNE}({', '.join(drawn[: generator.randint(0, 3)])})"
        arguments.append(f"{one.name}={value}")
    text = f"{family}{cuts}({', '.join(arguments)})" if arguments else family + cuts
    fate = generator.random()
    if fate < 0.4:
        return text
    if fate < 0.8:
        return mutations.bent_text(text, generator)
    return mutations.text(generator, [text, *(name for name, _ in rows), *_NUMBERS])


def asked(folder: Path, generator: random.Random) -> list[str]:
    """The command line of a sweep that is only previewed; and its config file."""
    arguments = []
    if generator.random() < 0.4:
        arguments.append(f"--config={_file(folder, generator)}")
    for _ in range(generator.choice((0, 1, 1, 1, 3))):
        arguments.append(f"--config.{_field(generator)}")
    if generator.random() < 0.3:
        flag = generator.choice(_FLAGS) + mutations.text(generator, ("0/3", "cpu", "x"))
        arguments.insert(generator.randint(0, len(arguments)), flag)
    if generator.random() < 0.2 and arguments:
        place = generator.randrange(len(arguments))
        arguments[place] = mutations.bent_text(arguments[place], generator)
    # No argument of a program holds a NUL, and none trains here.
    return [word.replace("\0", "") for word in (*arguments, "--dry_run")]


def _field(generator: random.Random) -> str:
    field = generator.choice(list(FIELDS.values()))
    value = field.shown_default
    fate = generator.random()
    if fate < 0.3:
        value = mutations.bent_text(value, generator)
    elif fate < 0.6:
        value = mutations.text(generator, (value, *_NUMBERS, *map(str, field.choices)))
    elif fate < 0.9:
        value = str(generator.choice(mutations.WILD))
    return f"{field.name}={value}"


def _file(folder: Path, generator: random.Random) -> Path:
    path = folder / generator.choice(("c.py", "c.py", "no suffix", "ß字.py"))
    fate = generator.random()
    if fate < 0.4:
        content = generator.choice(sorted(CONFIGS.glob("*.py"))).read_text()
        content = mutations.bent_text(content, generator)
    else:
        field = generator.choice(list(FIELDS))
        name = generator.choice((field, "x", "to_dict", ""))
        value = repr(generator.choice(mutations.WILD)).replace("inf", "1e999")
        body = generator.choice(_BODIES).format(field=field, name=name, value=value)
        content = f"{_HEAD}    {body}\n"
    path.write_bytes(content.encode(errors="surrogatepass"))
    if generator.random() < 0.1:
        mutations.bend_file(path, generator)
    return path


def read_asked(arguments: list[str]) -> None:
    os.environ["LOSSJAX_CACHE"] = os.devnull  # nothing is kept
    try:
        sweep.main(arguments)
    except SystemExit as ended:  # of --help
        if ended.code:
            raise RuntimeError(f"ended with {ended.code!r}") from None
