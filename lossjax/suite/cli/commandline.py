"""How every program reads its command line.

Flags are absl's; the programs parse them themselves, so that an unknown flag, a bad
value or a stray argument is one line and exit code 2, never a traceback.
"""

import os
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from lossjax import syntax
from lossjax.suite import config, loader, shipped
from lossjax.suite.cli.errors import Exit, Interrupted, UserError, unknown
from lossjax.syntax import nearest

DEFAULT_CONFIG = "configs/digits.py"
_WIDTH = 79
_HOME = re.compile(r"^(--?\w+=)(~[^/]*)")
_GIVEN = {"bool": "", "string": "=TEXT", "int": "=NUMBER", "multi string": "=TEXT"}
_DEFINERS: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    list: flags.DEFINE_list,
}


def define(**rows: tuple[Any, str]) -> flags.FlagValues:
    """Flags by name: the default of each, whose type is the flag's, and its meaning."""
    values = flags.FlagValues()
    for name, (default, meaning) in rows.items():
        maker = _DEFINERS.get(type(default), flags.DEFINE_string)
        maker(name, default, meaning, flag_values=values)
    return values


def parse(
    values: flags.FlagValues,
    arguments: Sequence[str],
    usage: str,
    operands: int = 0,
    *,
    fields: bool = False,
    others: Collection[str] = (),
) -> list[str]:
    """Parse flags strictly; at most `operands` other arguments, which are returned.

    `--help` prints `usage` and the flags and ends the program; with `fields` also those
    of a config. `others` are the fields of a config that may be given.

    Raises:
      UserError: an unknown flag, a bad value or a stray argument.
    """
    if _wants_help(arguments):
        parts = [*map(_reflowed, shipped.spoken(usage.strip()).split("\n\n"))]
        if shown := list(_flags_help(values)):
            parts.append("\n".join(("Flags:", *shown)))
        if fields:
            parts.append("\n".join(_fields_help()))
        print("\n\n".join(parts))
        raise SystemExit(Exit.DONE)
    try:
        if any(re.match("--?undefok(=|$)", argument) for argument in arguments):
            raise flags.UnrecognizedFlagError("undefok")
        _, *rest = values(["lossjax", *arguments])
    except flags.UnrecognizedFlagError as error:
        raise _unknown_flag(error.flagname, values, others) from None
    except flags.Error as error:
        raise UserError(str(error)) from None
    for name in values:
        if "." not in name and values[name].present and values[name].value == []:
            raise UserError(f"--{name}= names nothing: leave it out, or name some")
    if len(rest) > operands:
        raise UserError(f"stray argument {rest[operands]!r}; a flag is --name=value")
    return rest


def file_of(flag: str, text: str) -> Path:
    """The file that a flag has written; UserError where there can be none."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise UserError(f"{flag}={text}: its folder does not exist")
    if path.exists() and not path.is_file():
        raise UserError(f"{flag}={text}: is no file that could be replaced")
    return path


def expanded(arguments: Sequence[str]) -> list[str]:
    """The command line with what its files hold in the place of `--flagfile=FILE`.

    In `--out=~/x` no shell sees the home, and a folder called ~ is nobody's wish.

    Raises:
      UserError: there is no such file, or it is no text, or no such user.
    """
    try:
        words = flags.FlagValues().read_flags_from_files(list(arguments))
    except (flags.Error, UnicodeDecodeError) as error:
        raise UserError(f"--flagfile: {error}".replace("ERROR:: ", "")) from None
    return [_HOME.sub(_home, word) for word in words]


def _home(found: re.Match[str]) -> str:
    place = os.path.expanduser(found[2])
    if place == found[2]:
        raise UserError(
            f"{found[0]}: there is no such user's folder; write the whole path"
        )
    return found[1] + place


def _unknown_flag(
    name: str, values: flags.FlagValues, fields: Collection[str]
) -> UserError:
    """Says how a field of the config is given, where the name is nearest to one."""
    near = nearest(name, [*_names(values), *(f"--{field}" for field in fields)])
    field = nearest(name, fields) if fields else None
    if field and near == f"--{field}":
        return UserError(
            f"unknown flag '--{name}': a field of the config is --config.{field}="
        )
    return unknown("flag", f"--{name}", _names(values))


def _wants_help(arguments: Sequence[str]) -> bool:
    return any(word in ("--help", "-help", "-h", "--h") for word in arguments)


def _names(values: flags.FlagValues) -> list[str]:
    return [f"--{name}" for name in values if "." not in name]


def _flags_help(values: flags.FlagValues) -> Iterator[str]:
    for name in values:
        default = values[name].default
        shown = f" [default {default}]" if default else ""
        given = _GIVEN.get(values[name].flag_type(), "=LIST")
        yield from _entry(f"--{name}{given}", f"{values[name].help}{shown}")


def _fields_help() -> Iterator[str]:
    yield "Fields of a config; a list is written with commas, bce,mse:"
    yield from _entry(
        "--config=FILE[:ARG]", f"the file that sets them [default {DEFAULT_CONFIG}]"
    )
    for field in config.FIELDS.values():
        text = f"{field.meaning} [{field.valid}; default {field.shown_default}]"
        yield from _entry(f"--config.{field.name}", text)


def _reflowed(paragraph: str) -> str:
    """Prose at the width of a terminal; commands as they are."""
    if any(line.startswith((" ", "./", "python")) for line in paragraph.split("\n")):
        return paragraph
    return textwrap.fill(paragraph, _WIDTH, break_on_hyphens=False)


def _entry(head: str, text: str) -> Iterator[str]:
    yield f"  {head}"
    yield from (f"      {line}" for line in textwrap.wrap(text, _WIDTH - 6))


class _ListParser(flags.ArgumentParser):
    """Reads a tuple field; see `lossjax.syntax.items`."""

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return syntax.items(argument) if isinstance(argument, str) else tuple(argument)

    def flag_type(self) -> str:
        return "list"


def parse_sweep(
    values: flags.FlagValues, arguments: Sequence[str], usage: str
) -> tuple[str, config.Sweep]:
    """Parse flags with `--config=NAME[:arg]` and `--config.FIELD=VALUE` among them.

    Returns:
      The config's name (its file's stem) and the validated sweep.

    Raises:
      UserError: as `parse`; also a config file that is absent, broken or invalid.
    """
    if _wants_help(arguments):
        parse(values, arguments, usage, fields=True)
    arguments = _joined(arguments)
    chosen = DEFAULT_CONFIG
    for argument in arguments:
        name, _, value = argument.lstrip("-").partition("=")
        if name == "config":
            chosen = value
        elif name.startswith("config."):
            field = name.removeprefix("config.")
            if field not in config.FIELDS:
                raise unknown("config field", field, config.FIELDS)
    path, _, extra = chosen.partition(":")
    file = shipped.config(path)
    fields = [a for a in arguments if not a.lstrip("-").startswith("config=")]
    config_flags.register_flag_parser_for_type(tuple, _ListParser())
    try:
        holder = config_flags.DEFINE_config_dict(
            "config", _made_by(file, extra), flag_values=values, sys_argv=fields
        )
        parse(values, fields, usage, others=config.FIELDS)
        return file.stem, config.resolve(holder.value)
    except (UserError, Interrupted):
        raise
    except Exception as error:  # hostile values: anything may come
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"config {path}: {text}") from None


def _made_by(file: Path, argument: str) -> ConfigDict:
    """What a config file's `get_config` returns."""
    with loader.running(file):
        made = loader.load(file).get_config(*([argument] if argument else []))
    if not isinstance(made, ConfigDict):
        raise UserError(f"{file}: get_config must return lossjax.suite.config.sweep()")
    return made


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--config FILE` as `--config=FILE`."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--config", "-config"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
