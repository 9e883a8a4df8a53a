"""The guard against XLA's wrong numbers on the CPU, in force once lossjax is imported.

XLA for CPU, as the releases of jaxlib that this project supports come, compiles a sum
over products of matrix products into nan. One flag prevents it, which must be in
XLA_FLAGS when jax makes its first array. So `import lossjax` puts it there, and where
that comes too late the first loss that is computed warns.
"""

import importlib
import os
import re
import sys

FLAG = "--xla_cpu_experimental_ynn_fusion_type=-reduce"
_JAXLIB = ((0, 10), (0, 13))  # an XLA that does not know the flag aborts on it


def flags(text: str) -> str:
    """What XLA_FLAGS must be for the guard to be in force beside the user's flags.

    The guard comes first: XLA ignores everything behind a word that is no flag, and of
    a flag that comes twice it takes the last, so what users set themselves holds. A
    text that begins with no dash is the name of a file with flags, also to XLA; the
    file's contents take its place.

    Raises:
      ValueError: there is no such file.
    """
    text = text.strip()
    if text and not text.startswith("-"):
        try:
            with open(text) as file:
                text = " ".join(file.read().split())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise ValueError(
                f"XLA_FLAGS={text}: a flag begins with --, and what does not is the "
                f"name of a file with flags, which cannot be read: {reason}"
            ) from None
    return text if text.startswith(FLAG) or not _known() else f"{FLAG} {text}".strip()


def _known() -> bool:
    """Whether the installed XLA knows the flag; false where none is installed."""
    try:
        version = importlib.import_module("jaxlib").__version__
    except ImportError:
        return False
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return _JAXLIB[0] <= numbers < _JAXLIB[1]


def _installed() -> bool:
    """Set the guard; whether it is in force for certain."""
    # Where jax is not imported it has not started; without it this module needs none.
    if "jax" in sys.modules and importlib.import_module("lossjax.canary").started():
        return False
    try:
        text = flags(os.environ.get("XLA_FLAGS", ""))
    except ValueError:
        return False  # XLA will not start
    if text:
        os.environ["XLA_FLAGS"] = text
    return text.startswith(FLAG) and text.count(FLAG.partition("=")[0]) == 1


IN_FORCE = _installed()
