"""What a sweep is: one frozen dataclass, the only list of config fields.

In a config plural fields are the axes of the grid; singular fields are held fixed.
Importing this module never imports jax: names of losses, models and metrics are
checked by the program that owns their tables.
"""

import ast
import dataclasses
import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ml_collections import ConfigDict, config_dict

AXES = (
    "datasets",
    "models",
    "losses",
    "learning_rates",
    "seeds",
    "tuning_seeds",
)
DEFAULT_SCHEDULE = "cosine"
_OPTIONAL = {
    "image_size": int,
    "channels": int,
    "max_examples": int,
    "group_by": str,
    "optimiser": str,
    "head_scale": float,
    "start_logit": float,
    "schedule": str,
}


class UserError(Exception):
    """Something the user can mend; its text is one line that says how."""


def unknown(kind: str, value: str, valid: Iterable[str]) -> UserError:
    """The one way to say that a name is not known: nearest name, then all of them."""
    names = list(valid)
    lower = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(value.lower(), lower, n=1, cutoff=0.4)
    hint = f"did you mean {lower[near[0]]!r}? " if near else ""
    return UserError(f"unknown {kind} {value!r}: {hint}valid: {', '.join(names)}")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A whole grid. Axes first, then what is held fixed, with the units of each."""

    datasets: tuple[str, ...] = ("digits",)
    models: tuple[str, ...] = ("conv_ae",)
    losses: tuple[str, ...] = ("bce", "mse")
    learning_rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    seeds: tuple[int, ...] = tuple(range(10))
    tuning_seeds: tuple[int, ...] = (1000, 1001)
    train_steps: int = 200
    batch_size: int = 64
    latent_dim: int = 8
    width: tuple[int, ...] = (16, 32)  # channels of each stride-2 convolution
    hidden: tuple[int, ...] = (128,)  # units of each hidden layer of mlp_ae
    image_size: int | None = None  # pixels a side; None: as the dataset comes
    channels: int | None = None  # image channels, 1 or 3; None: as the dataset comes
    max_examples: int | None = None  # images, all splits together; None: every one
    group_by: str | None = None  # "parent": pictures of a folder stay in one split
    optimiser: str | None = None  # "sgd", with momentum 0.9; None: adam
    head_scale: float | None = None  # on the last layer's initial kernel; None: 1
    # The head's bias starts where a sigmoid reads out this logit; None: training mean.
    start_logit: float | None = None
    schedule: str | None = None  # of the learning rate; None: cosine, falls to 0
    precision: str = "float32"  # of the network's own computation; or "bfloat16"
    primary_metric: str = "ssim"
    curve_points: int = 10  # how often a run is looked at while it trains

    def __post_init__(self) -> None:
        _check(self)

    def fixed(self) -> dict[str, Any]:
        """The held-fixed fields that determine a run's numbers, JSON-ready.

        A field that is None says nothing and is left out, so that a new one with that
        default does not make every stored run a stranger.
        """
        values = {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name not in AXES and field.name != "primary_metric"
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def at_once(self) -> int:
        """The most runs of one cell that can be trained side by side."""
        tuning = len(self.learning_rates) * len(self.tuning_seeds)
        return max(len(self.seeds), tuning)

    def to_json(self) -> dict[str, Any]:
        """Every field, JSON-ready; `Sweep.from_json` reads it back."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Sweep":
        fields: dict[str, Any] = {k: _tuple(v) for k, v in values.items()}
        return cls(**fields)


def sweep(**fields: Any) -> ConfigDict:
    """A ConfigDict with every field of `Sweep`, for `get_config()` of a config file."""
    values = {f.name: f.default for f in dataclasses.fields(Sweep)} | fields
    for name, kind in _OPTIONAL.items():
        if values[name] is None:
            values[name] = config_dict.placeholder(kind)
    config = ConfigDict(values)
    config.lock()
    return config


def resolve(config: ConfigDict) -> Sweep:
    """The validated frozen dataclass of a ConfigDict; UserError names the field."""
    values = config.to_dict()
    names = [f.name for f in dataclasses.fields(Sweep)]
    for name in values:
        if name not in names:
            raise unknown("config field", name, names)
    return Sweep(**{k: _tuple(v) for k, v in values.items()})


def parse_axis(text: str) -> tuple[Any, ...]:
    """`(1, 2)`, `1e-3,3e-3` or `bce,huber(delta=0.1)` as a tuple.

    A Python literal is taken as it is; anything else is split at top-level commas, and
    each part is read as a number where it is one.
    """
    try:
        value = ast.literal_eval(text)
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    text = text.strip()
    for opening, closing in ("()", "[]"):
        if text.startswith(opening) and text.endswith(closing):
            text = text[1:-1].strip().removesuffix(",")
    return tuple(_literal(part.strip()) for part in _split(text))


def _split(text: str) -> list[str]:
    """Parts between the commas that stand outside every bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _literal(part: str) -> Any:
    try:
        value = ast.literal_eval(part)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return part
    return value if isinstance(value, int | float | str) else part


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(field: str, value: Any, valid: bool, rule: str) -> None:
    if not valid:
        raise UserError(f"config.{field} = {value!r}: {rule}")


def _check(sweep: Sweep) -> None:
    """Every rule that needs no table and no data, in the order of the fields."""
    for field in AXES:
        values: Sequence[Any] = getattr(sweep, field)
        _require(field, values, isinstance(values, tuple), "must be a list")
        if field == "tuning_seeds" and len(sweep.learning_rates) == 1:
            pass  # one rate leaves nothing to tune
        else:
            _require(field, values, len(values) > 0, "must not be empty")
    for field in ("datasets", "models", "losses"):
        for value in getattr(sweep, field):
            _require(
                field, value, isinstance(value, str) and bool(value), "must be names"
            )
    for rate in sweep.learning_rates:
        valid = _is_number(rate) and math.isfinite(rate) and 0 < rate <= 1e9
        _require(
            "learning_rates", rate, valid, "each rate must be a number in (0, 1e9]"
        )
    object.__setattr__(
        sweep, "learning_rates", tuple(float(rate) for rate in sweep.learning_rates)
    )
    for field in ("seeds", "tuning_seeds"):
        for seed in getattr(sweep, field):
            valid = _is_integer(seed) and 0 <= seed < 2**31
            _require(
                field, seed, valid, "each seed must be a whole number in [0, 2^31)"
            )
    for field in AXES:
        values = getattr(sweep, field)
        twice = [value for value in values if values.count(value) > 1]
        _require(field, values, not twice, f"names {twice[0] if twice else ''!r} twice")
    both = sorted(set(sweep.seeds) & set(sweep.tuning_seeds))
    _require(
        "tuning_seeds",
        both,
        not both,
        "also in config.seeds; a seed that tuned a rate cannot judge it",
    )
    for field, low, high in (
        ("train_steps", 1, 10**9),
        ("batch_size", 1, 10**6),
        ("latent_dim", 1, 10**5),
        ("curve_points", 1, 10**4),
    ):
        value = getattr(sweep, field)
        valid = _is_integer(value) and low <= value <= high
        _require(field, value, valid, f"must be a whole number from {low} to {high}")
    for field in ("width", "hidden"):
        value = getattr(sweep, field)
        valid = isinstance(value, tuple) and all(
            _is_integer(v) and 1 <= v <= 10**5 for v in value
        )
        _require(field, value, valid and value != (), "must be positive whole numbers")
    size, channels = sweep.image_size, sweep.channels
    valid = size is None or (_is_integer(size) and 4 <= size <= 4096)
    _require("image_size", size, valid, "must be a whole number from 4 to 4096")
    _require("channels", channels, channels in (None, 1, 3), "must be 1 or 3")
    most = sweep.max_examples
    valid = most is None or (_is_integer(most) and most >= 12)
    _require("max_examples", most, valid, "must be a whole number of at least 12")
    valid = sweep.group_by in (None, "parent")
    _require("group_by", sweep.group_by, valid, "must be 'parent'")
    scale = sweep.head_scale
    valid = scale is None or (_is_number(scale) and 0 < scale <= 1000)
    _require("head_scale", scale, valid, "must be a number in (0, 1000]")
    start = sweep.start_logit
    valid = start is None or (_is_number(start) and abs(start) <= 80)
    _require("start_logit", start, valid, "must be a number from -80 to 80")
    if start is not None:
        object.__setattr__(sweep, "start_logit", float(start))
    if scale is not None:
        # One spelling of the default, or its runs would be strangers to each other.
        own = None if scale == 1 else float(scale)
        object.__setattr__(sweep, "head_scale", own)
    if sweep.schedule == DEFAULT_SCHEDULE:
        # Said or not said, it is the same run.
        object.__setattr__(sweep, "schedule", None)
