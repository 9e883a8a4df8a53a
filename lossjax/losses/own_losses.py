"""A loss of the user's own: `my_file.py:tilted(quantile=0.7)`, a function of a file.

The function takes `(raw, target, **hyper)`, raw outputs and targets (batch, height,
width, channels) and hyperparameters that have defaults, and returns one value per
pixel. It may say more of itself:

    tilted.read_out = lambda raw: ...           # the image in [0, 1]; else a sigmoid
    tilted.floor = lambda target, **hyper: ...  # least value of a pixel over raw
    tilted.unit = "intensity"
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import own_code
from lossjax.losses.checks import Parameter
from lossjax.losses.claims import UNSTATED
from lossjax.losses.links import sigmoid
from lossjax.losses.loss import Loss, logit, row
from lossjax.own_scope import in_words, scope
from lossjax.syntax import nearest

_LARGEST = 1e30
_TRIED = (2, 4, 5, 3)  # shape of the images that a function is tried on
_Function = Callable[..., Any]


def own_row(file: str, name: str) -> Loss:
    """The function as a row, at its defaults; a file is run once for each content.

    Raises:
      ValueError: the file or the function cannot be used; one line.
    """
    return _made(file, name, own_code.digest(file))


@functools.lru_cache(maxsize=256)
def _made(file: str, name: str, digest: str) -> Loss:
    family = f"{file}:{name}"
    function = _function(file, name, digest)
    read_out, floor = (getattr(function, key, None) for key in ("read_out", "floor"))

    def least(target: jax.Array, **hyper: jax.Array) -> jax.Array:
        if floor is None:
            return jnp.full_like(target, jnp.nan)
        return jnp.broadcast_to(floor(target, **hyper), target.shape)

    words = " ".join((inspect.getdoc(function) or "").split())
    made = row(
        family,
        function,
        *_parameters(function, family),
        link=read_out or sigmoid,
        least=least,
        begin=logit if read_out is None else _start_of(read_out),
        unit=str(getattr(function, "unit", "not stated")),
        formula=words[:200] or "not stated",
        source=f"your own, {file}",
        claims=UNSTATED,
    )
    _try(made)
    return made


def _function(file: str, name: str, digest: str) -> _Function:
    found = scope(file, digest)
    function = found.get(name)
    if inspect.isfunction(function):
        return function
    own = [key for key, value in found.items() if inspect.isfunction(value)]
    near = nearest(name, own)
    hint = f"did you mean {near}? " if near else ""
    raise ValueError(
        f"{file} has no function {name!r}: {hint}it has {', '.join(own) or 'none'}"
    )


def _parameters(function: _Function, family: str) -> list[Parameter]:
    takes = list(inspect.signature(function).parameters.values())
    valid = f"{family}: a loss is a function (raw, target, argument=number, ...)"
    if len(takes) < 2 or any(p.kind not in _NAMED for p in takes[:2]):
        raise ValueError(f"{valid}; this one takes {len(takes)} arguments")
    found = []
    for p in takes[2:]:
        good = isinstance(p.default, int | float) and not isinstance(p.default, bool)
        if p.kind not in _NAMED or p.kind == p.POSITIONAL_ONLY or not good:
            raise ValueError(f"{valid}; {p.name!r} has no number as its default")
        meaning = "your own"
        found.append(Parameter(p.name, float(p.default), -_LARGEST, _LARGEST, meaning))
    return found


_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def _start_of(read_out: _Function) -> Callable[..., np.ndarray]:
    """Raw output that reads out as a constant image, by bisection: it must rise."""

    def begin(mean: np.ndarray, **_: Any) -> np.ndarray:
        low, high = np.full_like(mean, -100.0), np.full_like(mean, 100.0)
        for _step in range(60):
            middle = (low + high) / 2
            image = read_out(jnp.asarray(middle).reshape(1, 1, 1, -1))
            below = np.asarray(image).reshape(-1) < mean
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    return begin


def _try(made: Loss) -> None:
    """Traces all parts on a small shape; nothing is computed."""
    images = jax.ShapeDtypeStruct(_TRIED, jnp.float32)
    hyper = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in made.hyper}

    def slope(raw: Any, target: Any, hyper: Any) -> Any:
        total = lambda raw: jnp.sum(made.kernel(raw, target, **hyper))  # noqa: E731
        return jax.grad(total)(raw)

    parts: tuple[tuple[str, _Function, tuple[Any, ...]], ...] = (
        ("", lambda r, t, h: made.kernel(r, t, **h), (images, images, hyper)),
        ("its gradient ", slope, (images, images, hyper)),
        ("its read_out ", made.link, (images,)),
        ("its floor ", lambda t, h: made.least(t, **h), (images, hyper)),
    )
    for part, function, arguments in parts:
        try:
            found = jax.eval_shape(function, *arguments)
        except jax.errors.JAXTypeError:
            raise ValueError(
                f"{made.family}: {part}asks Python for the value of its input (an if, "
                "a float(), a numpy function): write jnp.where and jax.numpy"
            ) from None
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{made.family}: {part}fails on images of shape {_TRIED}: "
                f"{in_words(error)}"
            ) from None
        array = isinstance(found, jax.ShapeDtypeStruct)
        good = array and found.shape == _TRIED
        if not (good and jnp.issubdtype(found.dtype, jnp.floating)):
            shown = f"{found.dtype} {found.shape}" if array else type(found).__name__
            raise ValueError(
                f"{made.family}: {part}returns {shown} of images {_TRIED}; valid is "
                "one floating value per pixel, of their shape"
            )
