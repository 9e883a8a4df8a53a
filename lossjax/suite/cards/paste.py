"""A loss as code to paste: its function of lossjax.suite.cards.plain, and an output.

The functions are taken from that module's own source, each with those it uses; what is
called differently elsewhere is in LIBRARIES.
"""

import ast
import dataclasses
import functools
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

from lossjax import LOSSES, Loss
from lossjax.losses.checks import literal
from lossjax.suite.cards import plain
from lossjax.suite.cli.errors import UserError
from lossjax.syntax import MIX

_SOURCE = Path(plain.__file__)


@dataclasses.dataclass(frozen=True)
class Library:
    """How the code of lossjax.suite.cards.plain reads in another library.

    Attributes:
      layout: axes of images.
      imports: the line that brings a name, by name.
      words: what is called differently.
      layer: the last layer of a decoder with {channels}.
      own: definitions that take the place of those of the module.
      order: of the arguments of a loss.
    """

    layout: str
    imports: Mapping[str, str]
    words: Mapping[str, str]
    layer: str
    own: str = ""
    order: tuple[str, str] = ("raw", "target")


LIBRARIES: Mapping[str, Library] = types.MappingProxyType(
    {
        "jax": Library(
            "(batch, height, width, channels)",
            {
                "jax": "import jax",
                "nnx": "from flax import nnx",
                "Array": "from jax import Array",
                "jnp": "from jax import numpy as jnp",
            },
            {},
            """
def output_layer(features: int, channels: int, rngs: nnx.Rngs) -> nnx.Conv:
    return nnx.Conv(features, {channels}, (1, 1), rngs=rngs)
""",
        ),
        "torch": Library(
            "(batch, channels, height, width)",
            {
                "torch": "import torch",
                "Array": "from torch import Tensor as Array",
                "functional": "from torch.nn import functional",
            },
            {"jax.nn.softplus": "functional.softplus", "jax.nn": "torch"}
            | {"jnp": "torch"},
            """
def output_layer(channels: int) -> torch.nn.Module:
    return torch.nn.LazyConv2d({channels}, kernel_size=1)
""",
            """
PIXELS = (2, 3)

def constant(values: np.ndarray, like: Array) -> Array:
    return torch.as_tensor(values, dtype=like.dtype, device=like.device)

def held(x: Array) -> Array:
    return x.detach()

def blocks(raw: Array, count: int) -> Array:
    \"\"\"The blocks of C channels that raw consists of, in front.\"\"\"
    return raw.unflatten(1, (count, -1)).movedim(1, 0)

def separable(down: np.ndarray, across: np.ndarray, images: Array) -> Array:
    \"\"\"Weighted sums over rows and columns.\"\"\"
    matrices = constant(down, images), constant(across, images)
    return torch.einsum("ih,jw,bchw->bcij", *matrices, images)
""",
        ),
        "keras": Library(
            "(batch, height, width, channels)",
            {
                "keras": "import keras",
                "Array": "from keras import KerasTensor as Array",
                "ops": "from keras import ops",
            },
            {"jax.nn": "ops", "jnp": "ops"},
            """
def output_layer(channels: int) -> keras.Layer:
    return keras.layers.Conv2D({channels}, kernel_size=1)
""",
            """
def constant(values: np.ndarray, like: Array) -> Array:
    return ops.convert_to_tensor(values, dtype=like.dtype)

def held(x: Array) -> Array:
    return ops.stop_gradient(x)

def blocks(raw: Array, count: int) -> Array:
    \"\"\"The blocks of C channels that raw consists of, in front.\"\"\"
    shape = (-1, *raw.shape[1:-1], count, raw.shape[-1] // count)
    return ops.moveaxis(ops.reshape(raw, shape), -2, 0)

def separable(down: np.ndarray, across: np.ndarray, images: Array) -> Array:
    \"\"\"Weighted sums over rows and columns.\"\"\"
    matrices = constant(down, images), constant(across, images)
    return ops.einsum("ih,jw,bhwc->bijc", *matrices, images)
""",
            order=("target", "raw"),
        ),
    }
)
_SHARED = {"math": "import math", "np": "import numpy as np"}


def code(loss: Loss, library: str) -> str:
    """The loss, its output layer and its output image, ready to paste.

    Raises:
      UserError: there is no such code; says why.
    """
    if why := plain.WITHOUT.get(loss.family):
        raise UserError(f"{loss.name} has no code to paste: {why}")
    if loss.family.startswith(f"{MIX}("):
        raise UserError(
            f"{loss.name} has no code to paste: paste its two losses, each printed by "
            "its own name, and add them"
        )
    if loss.family not in LOSSES:
        raise UserError(f"{loss.name} is code of your own: there is nothing to print")
    target = LIBRARIES[library]
    image = f"{loss.link.__name__.strip('_')}_image"
    known = {**_definitions(_SOURCE.read_text()), **_definitions(target.own)}
    parts = [known[name] for name in _needed(known, loss.family, image)]
    text = "\n\n\n".join([*parts, _layer(loss, target), _whole(loss, target)])
    for here, there in target.words.items():
        text = re.sub(rf"\b{re.escape(here)}\b", there, text)
    for name, value in loss.hyper.items():
        signature = rf"(def {loss.family}\(.*?\b{name}: float)"
        text = re.sub(signature, rf"\1 = {literal(float(value))}", text, flags=re.S)
    text = text.replace(f"def {image}(", "def output_image(")
    return "\n".join([*_head(loss, library), *_imports(target, text), "", "", text])


def _head(loss: Loss, library: str) -> Iterator[str]:
    words = f"{loss.name} of lossjax (Apache-2.0), for {library}: {loss.formula}"
    yield from (f"# {line}" for line in textwrap.wrap(words, 84))
    yield f"# Images in [0, 1], {LIBRARIES[library].layout}, as floats."
    yield "# The decoder ends with output_layer, and nothing behind it: the loss takes"
    yield "# its raw output, output_image makes the picture of it."
    for name, start in loss.scalars.items():
        yield f"# {name} is trained with the network, from {start:g} on."


def _layer(loss: Loss, target: Library) -> str:
    count = f"{loss.channels} * " * (loss.channels > 1)
    return target.layer.strip().format(channels=f"{count}channels")


def _whole(loss: Loss, target: Library) -> str:
    more = list(loss.scalars)
    takes = ", ".join(f"{name}: Array" for name in [*target.order, *more])
    called = f"{loss.family}({', '.join(['raw', 'target', *more])})"
    result = called if loss.whole else f"jnp.mean({called}, axis=(1, 2, 3))"
    return f"""def loss({takes}) -> Array:
    \"\"\"Loss of each image, (batch,); train on its mean.\"\"\"
    return {result}"""


def _imports(target: Library, text: str) -> Iterator[str]:
    """The import lines that the text needs, those of other makers behind a gap."""
    used = _names(ast.parse(text))
    groups: list[list[str]] = [[], []]
    for name, line in (_SHARED | dict(target.imports)).items():
        if name in used:
            groups[name != "math"].append(line)
    groups[1].sort(key=lambda line: (line.startswith("from"), line))
    for group in filter(None, groups):
        yield ""
        yield from group


@functools.cache
def _definitions(source: str) -> Mapping[str, str]:
    """The text of every function and constant of a module, by name."""
    found, lines = {}, source.splitlines()
    for node in ast.parse(source).body:
        text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        if isinstance(node, ast.FunctionDef):
            found[node.name] = text
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = text
    return found


def _needed(known: Mapping[str, str], *wanted: str) -> list[str]:
    """Those names and all that they use, in the order of the module."""
    found: set[str] = set()
    open_ones = set(wanted)
    while open_ones:
        name = open_ones.pop()
        found.add(name)
        open_ones |= (_names(ast.parse(known[name])) & set(known)) - found
    return [name for name in known if name in found]


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
