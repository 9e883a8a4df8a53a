"""What a sweep is: one frozen dataclass, the only list of config fields.

In a config plural fields are the axes of the grid; singular fields are held fixed.
Importing this module never imports jax: names of losses, models and metrics are
checked by the program that owns their tables.
"""

import dataclasses
import itertools
import math
import types
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, config_dict

from lossjax import own_code, syntax
from lossjax.suite.cli.errors import UserError, unknown
from lossjax.suite.rules import Rule

AXES = (
    "datasets",
    "models",
    "losses",
    "learning_rates",
    "seeds",
    "budgets",
    "latent_dims",
)
# What a sweep fills in itself, whatever is asked.
FILLED = ("own_code", "tuned")
_NOT_FIXED = ("train_steps", "latent_dim", "primary_metric", *FILLED)


def _field(default: Any, meaning: str, **rule: Any) -> Any:
    """A field of `Sweep`; `rule` is what `Rule` takes besides."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, **rule})


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A whole grid: axes first, then what is held fixed."""

    datasets: tuple[str, ...] = _field(
        ("digits",), "images; ./run.sh data list prints all"
    )
    models: tuple[str, ...] = _field(
        ("conv_ae",), "autoencoders, with arguments such as vae(beta=2)"
    )
    losses: tuple[str, ...] = _field(
        ("bce", "mse"),
        "what is compared; ./run.sh losses prints all; mix(mae, ssim, weight=0.2) is a "
        "weighted sum; of huber(delta=tune(0.03, 0.1)) each seed chooses a value by "
        "the primary metric on validation images",
    )
    learning_rates: tuple[float, ...] = _field(
        (1e-3, 3e-3, 1e-2),
        "tried with every loss and seed; beside a loss with tune(...) the others try "
        "as many more between these as it has runs",
        low=0,
        above=True,
        high=1e9,
    )
    seeds: tuple[int, ...] = _field(
        tuple(range(10)),
        "each a whole experiment: it chooses its own learning rate",
        low=0,
        high=2**31 - 1,
    )
    budgets: tuple[int, ...] = _field(
        (),
        "several values of train_steps, in its place; none: that one alone",
        low=1,
        high=10**9,
        empty=True,
    )
    latent_dims: tuple[int, ...] = _field(
        (),
        "several values of latent_dim, in its place; none: that one alone",
        low=1,
        high=10**5,
        empty=True,
    )
    train_steps: int = _field(1000, "training steps of a run", low=1, high=10**9)
    batch_size: int = _field(64, "images per training step", low=1, high=10**6)
    latent_dim: int = _field(8, "numbers in the code", low=1, high=10**5)
    width: tuple[int, ...] = _field(
        (16, 32), "channels of each stride-2 convolution", low=1, high=10**5
    )
    hidden: tuple[int, ...] = _field(
        (128,), "units of each hidden layer of an mlp", low=1, high=10**5
    )
    image_size: int | None = _field(
        None,
        "pixels per side; None: as in the dataset",
        low=4,
        high=4096,
        identity=False,
    )
    channels: int | None = _field(
        None,
        "of the images; None: as in the dataset",
        choices=(1, 3),
        identity=False,
    )
    max_examples: int | None = _field(
        None,
        "images, all splits together; None: every one",
        low=12,
        identity=False,
    )
    crops: int | None = _field(
        None,
        "squares of image_size that each picture of images:DIR gives, at most, in one "
        "split; None: all of a picture made to that size",
        low=1,
        high=10**6,
        identity=False,
    )
    group_by: str | None = _field(
        None,
        "keeps the pictures of one folder in one split; None: they are dealt out",
        choices=("parent",),
        identity=False,
    )
    value_range: tuple[float, ...] = _field(
        (),
        "the levels that are black and white, two numbers, of arrays:FILE, and of "
        "images:DIR where files have more than 8 bits; none: as each file says",
        low=-1e9,
        high=1e9,
        empty=True,
        identity=False,
    )
    pixel_weights: str | None = _field(
        None,
        "inverse_frequency: pixels above the training mean and the others have the "
        "same total weight, in the loss alone; None: every pixel has the same weight",
        choices=("inverse_frequency",),
        identity=False,
    )
    optimiser: str = _field("adam", "adam, or sgd with momentum 0.9", identity=False)
    head_scale: float = _field(
        1.0,
        "factor on the last layer's initial kernel",
        low=0,
        above=True,
        high=1000,
        identity=False,
    )
    start_logit: float | None = _field(
        None,
        "the head's bias starts where a sigmoid reads out this logit; None: at the "
        "mean training image",
        low=-80,
        high=80,
        identity=False,
    )
    schedule: str = _field(
        "cosine",
        "of the learning rate: cosine (falls to 0) or constant",
        identity=False,
    )
    kl_cycles: int = _field(
        0,
        "times that the KL's weight rises from 0 to beta while a vae trains: 0 "
        "constant, 1 warm-up, more cyclic",
        low=0,
        high=1000,
        identity=False,
    )
    kl_rise: float = _field(
        0.5,
        "share of a cycle in which it rises; for the rest it is beta",
        low=0,
        above=True,
        high=1,
        identity=False,
    )
    precision: str = _field(
        "float32",
        "of the network's own computation: float32, bfloat16, or on a GPU tf32x3 "
        "(three TF32 products for one, near float32)",
    )
    gpu: str = _field(
        "fast",
        "fast, or deterministic: the same bits every time, as a CPU gives anyway",
        choices=("fast", "deterministic"),
        identity=False,
    )
    primary_metric: str = _field("mse", "is named first in the report")
    curve_points: int = _field(
        10, "how often a run is looked at while it trains", low=1, high=10**4
    )

    own_code: tuple[str, ...] = _field(
        (),
        "sha256 of every file of your own that is named, filled in by the sweep",
        empty=True,
        identity=False,
    )
    tuned: tuple[str, ...] = _field(
        (),
        "the losses that every tune(...) is a choice of, filled in by the sweep",
        empty=True,
        identity=False,
    )

    def __post_init__(self) -> None:
        for name, field in FIELDS.items():
            object.__setattr__(self, name, field.read(getattr(self, name)))
        _check_together(self)

    def fixed(self) -> dict[str, Any]:
        """The held-fixed fields that determine a run's numbers, JSON-ready.

        A field that is no part of the identity of a run is left out at its default.
        """
        return {
            name: _plain(getattr(self, name))
            for name, field in FIELDS.items()
            if name not in (*AXES, *_NOT_FIXED)
            and (field.identity or getattr(self, name) != field.default)
        }

    def source_of(self, loss: str, model: str) -> dict[str, str]:
        """What a run with the user's own code carries besides: the sha256 of it."""
        named = dict(own.rpartition("=")[::2] for own in self.own_code)
        of = {
            "own_code": own_code.place_of(loss),
            "own_model": own_code.place_of(model),
        }
        return {
            key: named.get(place.file, "")
            for key, place in of.items()
            if place is not None
        }

    @property
    def deterministic(self) -> bool:
        """Whether a GPU must give the same bits every time."""
        return self.gpu == "deterministic"

    @property
    def step_counts(self) -> tuple[int, ...]:
        """Updates of a run, every value."""
        return self.budgets or (self.train_steps,)

    @property
    def code_sizes(self) -> tuple[int, ...]:
        """Numbers in the code, every value."""
        return self.latent_dims or (self.latent_dim,)

    @property
    def arms(self) -> int:
        """How many arms are compared, all settings together."""
        axes = (self.datasets, self.models, self.losses)
        return math.prod(map(len, (*axes, self.step_counts, self.code_sizes)))

    @property
    def tries(self) -> int:
        """The runs of one seed of an arm: as many for every loss."""
        dials = [len(values) for _, values in map(syntax.dial_of, self.losses)]
        return len(self.learning_rates) * max((1, *dials))

    @property
    def at_once(self) -> int:
        """The runs of one arm, which can be trained side by side."""
        return self.tries * len(self.seeds)

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The losses that each arm's runs are trained with, by the arm's own."""
        left = iter(self.tuned)
        members = {}
        for loss in self.losses:
            count = len(syntax.dial_of(loss)[1])
            members[loss] = tuple(itertools.islice(left, count)) if count else (loss,)
        return members

    @property
    def trained(self) -> tuple[str, ...]:
        """Every loss that some run is trained with, once."""
        return tuple(dict.fromkeys(itertools.chain(*self.members.values())))

    def to_json(self) -> dict[str, Any]:
        """Every field, JSON-ready; `Sweep.from_json` reads it back.

        Without own code nothing is said of it, as before there was any; nor of dials.
        """
        return {
            name: _plain(getattr(self, name))
            for name in FIELDS
            if name not in FILLED or getattr(self, name)
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Sweep":
        fields: dict[str, Any] = {k: _tuple(v) for k, v in values.items()}
        sweep = cls(**fields)
        dials = [syntax.dial_of(loss)[1] for loss in sweep.losses]
        if (count := sum(map(len, dials))) != len(sweep.tuned):
            rule = f"must name the {count} losses that dials choose among"
            raise FIELDS["tuned"].error(sweep.tuned, rule)
        return sweep


# The rule of every field of `Sweep`, by name.
FIELDS: Mapping[str, Rule] = types.MappingProxyType(
    {field.name: Rule.of(field) for field in dataclasses.fields(Sweep)}
)


def sweep(**fields: Any) -> ConfigDict:
    """A ConfigDict with every field of `Sweep`, for `get_config()` of a config file."""
    values = {name: field.default for name, field in FIELDS.items()} | fields
    for name, field in FIELDS.items():
        if values[name] is None:
            values[name] = (
                field.default if field.many else config_dict.placeholder(field.kind)
            )
    config = ConfigDict(values)
    config.lock()
    return config


def resolve(config: ConfigDict) -> Sweep:
    """The validated frozen dataclass of a ConfigDict; UserError names the field."""
    values = config.to_dict()
    for name in values:
        if name not in FIELDS:
            raise unknown("config field", name, FIELDS)
    values = {k: _tuple(v) for k, v in values.items()}
    return Sweep(**values | {"own_code": _own_code(values), "tuned": ()})


def _own_code(values: Mapping[str, Any]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for field in ("losses", "models"):
        texts = (text for text in values.get(field) or () if isinstance(text, str))
        try:
            for place in filter(None, map(own_code.place_of, texts)):
                found.setdefault(place.file, own_code.digest(place.file))
        except ValueError as error:
            raise UserError(f"config.{field}: {error}") from None
    return tuple(f"{file}={digest}" for file, digest in found.items())


def _check_together(sweep: Sweep) -> None:
    """The rules that the kind and the limits of a field do not say."""
    ends = sweep.value_range
    if ends and not (len(ends) == 2 and ends[0] < ends[1]):
        rule = "must be two numbers, black below white, such as 0,4095"
        raise FIELDS["value_range"].error(ends, rule)
    if sweep.kl_rise != FIELDS["kl_rise"].default and not sweep.kl_cycles:
        raise FIELDS["kl_rise"].error(sweep.kl_rise, "needs config.kl_cycles=1 or more")
    if 2 * sweep.kl_cycles > (steps := min(sweep.step_counts)):
        rule = f"a cycle needs at least 2 of the {steps} training steps"
        raise FIELDS["kl_cycles"].error(sweep.kl_cycles, rule)
    for name in AXES:
        values = getattr(sweep, name)
        if twice := [v for v, count in Counter(values).items() if count > 1]:
            raise FIELDS[name].error(values, f"names {twice[0]!r} twice")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
