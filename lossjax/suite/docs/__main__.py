"""The verb `docs`: builds the site, unless something in it is wrong."""

import inspect
import logging
import sys
from collections.abc import Iterator
from types import ModuleType

from absl import flags

import lossjax
from lossjax.suite.cli.commandline import parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.docs import generated
from lossjax.suite.shipped import clone

USAGE = """
./run.sh docs

Builds README.md and docs/ as a site that needs no network: results/local/site. Ends
with 1 where a link is broken, a public name of lossjax has no docstring, or a generated
part is stale (python -m lossjax.suite.docs.generated writes it again).
"""


def main(arguments: list[str]) -> int:
    parse(flags.FlagValues(), arguments, USAGE)
    root = clone("docs")
    wrong = [
        f"{path.relative_to(root)} is stale: python -m lossjax.suite.docs.generated"
        for path in generated.stale(root)
    ]
    wrong += [f"lossjax.{name} has no docstring" for name in undocumented()]
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    if wrong:
        return Exit.FAILED
    return _build(str(root / "mkdocs.yml"))


def undocumented() -> Iterator[str]:
    """Public names of lossjax without a docstring of their own."""
    for name in dir(lossjax):
        value = getattr(lossjax, name)
        if callable(value) or isinstance(value, ModuleType):
            if not _documented(value):
                yield name
        if inspect.isclass(value):
            for member, what in vars(value).items():
                visible = inspect.isfunction(what) or isinstance(what, property)
                if visible and not member.startswith("_") and not what.__doc__:
                    yield f"{name}.{member}"


def _documented(value: object) -> bool:
    """A dataclass without a docstring is given its signature as one."""
    text = (inspect.getdoc(value) or "").strip()
    return bool(text) and not text.startswith(f"{getattr(value, '__name__', '')}(")


def _build(config: str) -> int:
    # The builder is in the environment of this verb alone.
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort, ConfigurationError

    # mkdocs says what is wrong in its log, and strict mode counts the warnings there.
    logging.basicConfig(format="docs: %(message)s", level=logging.WARNING)
    try:
        loaded = load_config(config, strict=True)
        loaded.plugins.on_startup(command="build", dirty=False)
        build(loaded)
    except ConfigurationError as error:
        raise UserError(error) from None
    except Abort as error:
        print(f"docs: {error}", file=sys.stderr)
        return Exit.FAILED
    print(f"site: {loaded.site_dir}/index.html")
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
