"""Where what comes with the suite lies: in a clone, or inside an installed wheel.

A wheel carries the configs, the studies and the published rows as `lossjax/shipped`.
"""

import os
from pathlib import Path

from lossjax.suite.cli.errors import UserError, unknown

# The folder that lossjax is imported from: the clone's, or where a wheel is installed.
ROOT = Path(__file__).resolve().parents[2]
IS_CLONE = (ROOT / "run.sh").is_file()
COMMAND = "./run.sh" if IS_CLONE else "lossjax"
_BASE = ROOT if IS_CLONE else ROOT / "lossjax" / "shipped"
CONFIGS = _BASE / "configs"
EXPERIMENTS = _BASE / "experiments"
PUBLISHED = (_BASE / "results" if IS_CLONE else _BASE) / "published"
# What the programs write where no --out is named.
LOCAL = (ROOT if IS_CLONE else Path()) / "results" / "local"


def spoken(text: str) -> str:
    """A text with its commands as they are typed here."""
    return text.replace("./run.sh", COMMAND)


def clone(what: str) -> Path:
    """The clone's folder, which `what`, a verb or a flag, works on.

    Raises:
      UserError: lossjax is installed from a wheel.
    """
    if not IS_CLONE:
        raise UserError(
            f"{what}: needs a clone of the repository and its run.sh; this lossjax is "
            f"installed in {ROOT}"
        )
    return ROOT


def config(text: str) -> Path:
    """The config file that is named: the user's own by its path, or a shipped one.

    A shipped config goes by its name, with or without `configs/` and `.py`.

    Raises:
      UserError: there is none of that name.
    """
    own = Path(os.path.expanduser(text))
    shipped = (_BASE / text, CONFIGS / text)
    for file in (own, *shipped, *(Path(f"{name}.py") for name in shipped)):
        # Unlike Path.is_file, false of a name that no file system takes.
        if os.path.isfile(file):
            return file
    names = [file.stem for file in sorted(CONFIGS.glob("*.py"))]
    if os.sep in text or text.endswith(".py"):
        names = [f"configs/{name}.py" for name in names]
    raise unknown("config file", text, names)
