"""An autoencoder of the user's own: `my_file.py:MyAE(width=32)`, a module of a file.

The class is a Flax NNX module (a Linen one goes into it through nnx.bridge). It is made
as `MyAE(image_shape=(h, w, c), out_channels=..., latent_dim=..., rngs=..., width=32)`;
`module(images)` is raw output (batch, h, w, out_channels), and the code is what its
methods `encode(images)` and `decode(code)` say, if it has them.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from flax import linen, nnx

from lossjax import own_code
from lossjax.own_code import Place
from lossjax.own_scope import scope
from lossjax.syntax import Value, nearest, read_call, shortened

GIVEN = ("image_shape", "out_channels", "latent_dim", "rngs")
_DTYPE = "dtype"  # given to a module that takes it: what config.precision asks for
_ORDINARY = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """A module of the user's own with its arguments; has what a Model has.

    Attributes:
      family: `my_file.py:MyAE`.
      made: the class.
      arguments: those that are given besides GIVEN, by name.
      takes_dtype: whether it computes in what config.precision says.
    """

    family: str
    made: Callable[..., nnx.Module]
    arguments: tuple[tuple[str, Any], ...]
    takes_dtype: bool
    variational = False
    latent = None
    corrupt = None

    @property
    def name(self) -> str:
        """Canonical name: the family and the arguments that differ from the default."""
        shown = [
            f'{name}="{value}"' if isinstance(value, str) else f"{name}={value!r}"
            for name, value in self.arguments
        ]
        return f"{self.family}({', '.join(shown)})" if shown else self.family

    def method(self, name: str) -> Callable[..., Any] | None:
        """A method of the class; a layer of that name is none."""
        found = getattr(self.made, name, None)
        return found if inspect.isfunction(found) else None


def own_model(text: str, place: Place) -> OwnModel:
    """The module that a text names.

    Raises:
      ValueError: the file, the class or an argument cannot be used; one line.
    """
    call = read_call(place.call, "model")
    if call.cuts:
        raise ValueError(f"model {shortened(text)!r}: a model has no cuts")
    made = _class(place.file, call.name, own_code.digest(place.file))
    family = f"{place.file}:{call.name}"
    parameters = _parameters(made, family)
    arguments = _arguments(call.values, parameters, family)
    takes_dtype = _DTYPE in _taken(made)
    return OwnModel(family, made, arguments, takes_dtype)


@functools.lru_cache(maxsize=256)
def _class(file: str, name: str, digest: str) -> Callable[..., nnx.Module]:
    found = scope(file, digest)
    made = found.get(name)
    if inspect.isclass(made) and issubclass(made, nnx.Module):
        return made
    if inspect.isclass(made) and issubclass(made, linen.Module):
        raise ValueError(
            f"{file}:{name} is a Linen module; valid is an NNX module that holds "
            "nnx.bridge.ToNNX of it (docs/models.md)"
        )
    own = [
        key
        for key, one in found.items()
        if inspect.isclass(one) and issubclass(one, nnx.Module)
    ]
    near = nearest(name, own)
    hint = f"did you mean {near}? " if near else ""
    raise ValueError(
        f"{file} has no NNX module {name!r}: {hint}it has {', '.join(own) or 'none'}"
    )


def _taken(made: Any) -> Mapping[str, inspect.Parameter]:
    """What __init__ takes; the signature of the class itself is NNX's."""
    _, *takes = inspect.signature(made.__init__).parameters.values()
    return {parameter.name: parameter for parameter in takes}


def _parameters(
    made: Callable[..., nnx.Module], family: str
) -> Mapping[str, inspect.Parameter]:
    """What the class takes besides GIVEN."""
    takes = _taken(made)
    lacking = [name for name in GIVEN if name not in takes]
    if lacking or any(p.kind not in _ORDINARY for p in takes.values()):
        wrong = f"no {lacking[0]}" if lacking else "* or **"
        raise ValueError(
            f"{family}: a model is made with image_shape=(height, width, channels), "
            f"out_channels=, latent_dim= and rngs= by name; its __init__ takes {wrong}"
        )
    return {
        name: parameter
        for name, parameter in takes.items()
        if name not in (*GIVEN, _DTYPE)
    }


def _arguments(
    values: Mapping[str, Value],
    parameters: Mapping[str, inspect.Parameter],
    family: str,
) -> tuple[tuple[str, Any], ...]:
    """The arguments that differ from their defaults, in the order of the class."""
    for name, value in values.items():
        if name not in parameters:
            near = nearest(name, parameters)
            hint = f"did you mean {near}? " if near else ""
            takes = ", ".join(parameters) or "no arguments"
            raise ValueError(
                f"{family} has no argument {name!r}: {hint}it takes {takes}"
            )
        if value.literal is None:
            raise ValueError(
                f"{family}: {name}={value.text} is neither a number nor a word"
            )
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in values:
            raise ValueError(f"{family}: {name} has no default: write {name}=VALUE")
    return tuple(
        (name, values[name].literal)
        for name, parameter in parameters.items()
        if name in values and not _same(values[name].literal, parameter.default)
    )


def _same(value: Any, default: Any) -> bool:
    """Whether an argument says what the default does; True is no 1."""
    alike = isinstance(value, bool) == isinstance(default, bool)
    return alike and isinstance(default, int | float | str) and value == default
