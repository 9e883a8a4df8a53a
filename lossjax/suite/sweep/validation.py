"""A sweep against the tables: the checks of names that `config` cannot make."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping

import lossjax
from lossjax import (
    CODE_METRICS,
    LATENT_METRICS,
    METRICS,
    CodeMetric,
    LatentMetric,
    Metric,
)
from lossjax.losses.tuned_losses import tuned_loss
from lossjax.models import autoencoders
from lossjax.suite import data
from lossjax.suite.cli.errors import UserError, unknown
from lossjax.suite.config import FIELDS, Sweep
from lossjax.suite.protocol import rates_of
from lossjax.training import objective
from lossjax.training.settings import OPTIMISERS, SCHEDULES

_TABLES = {
    "schedule": SCHEDULES,
    "optimiser": OPTIMISERS,
    "precision": autoencoders.PRECISIONS,
}


def validate(sweep: Sweep) -> Sweep:
    """The sweep with canonical names, after every check that needs a table.

    Raises:
      UserError: a name is not known, or names what another one names.
    """
    datasets = _datasets(sweep.datasets)
    losses = _canonical("losses", sweep.losses, lambda text: tuned_loss(text).name)
    tuned = [one.losses for one in map(tuned_loss, losses) if len(one.losses) > 1]
    models = _canonical(
        "models", sweep.models, lambda text: autoencoders.resolve(text).name
    )
    plain = [name for name in models if not autoencoders.resolve(name).variational]
    if sweep.kl_cycles and plain:
        rule = (
            f"{plain[0]} has no KL to weigh: of variational models alone, such as vae"
        )
        raise FIELDS["kl_cycles"].error(sweep.kl_cycles, rule)
    for field, table in _TABLES.items():
        if (name := getattr(sweep, field)) not in table:
            raise unknown(f"config.{field}", name, table)
    sweep = dataclasses.replace(
        sweep,
        datasets=datasets,
        losses=losses,
        models=models,
        tuned=tuple(itertools.chain(*tuned)),
    )
    if refuse := [m for m in models if not autoencoders.takes(m, sweep.precision)]:
        raise UserError(
            f"config.precision={sweep.precision}: {refuse[0]} has convolutions of its "
            f"own, which compute in float32 or bfloat16"
        )
    ranked = [n for n, row in metrics_of(sweep).items() if row.direction != "none"]
    if sweep.primary_metric not in ranked:
        raise unknown("config.primary_metric", sweep.primary_metric, ranked)
    primary = metrics_of(sweep)[sweep.primary_metric]
    if sweep.tuned and isinstance(primary, LatentMetric) and primary.partial:
        raise UserError(
            f"config.primary_metric = {sweep.primary_metric!r}: chooses the value of "
            "tune(...), and not every loss has it"
        )
    rates_of(sweep)  # there may be no room for them
    return sweep


def _datasets(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return _canonical("datasets", texts, data.canonical)
    except data.DataError:
        # A comma in a folder's name made two names of one: the first is absent.
        for text in texts:
            data.check(text)
        raise


def _canonical(
    field: str, texts: tuple[str, ...], canonical: Callable[[str], str]
) -> tuple[str, ...]:
    names: list[str] = []
    for text in texts:
        try:
            name = canonical(text)
        except ValueError as error:
            raise UserError(f"config.{field}: {error}") from None
        if name in names:
            raise UserError(f"config.{field}: {text!r} is {name!r}, named twice")
        names.append(name)
    return tuple(names)


def metrics_of(sweep: Sweep) -> dict[str, Metric | CodeMetric | LatentMetric]:
    """Every metric that a run of the sweep may have, by name."""
    variational = any(autoencoders.resolve(name).variational for name in sweep.models)
    return {**METRICS, **CODE_METRICS, **(LATENT_METRICS if variational else {})}


def notes(sweep: Sweep, datasets: Mapping[str, data.Dataset]) -> Iterator[str]:
    """What a user should know of how the losses are trained, a line each."""
    counts = {dataset.pixels.levels: name for name, dataset in datasets.items()}
    for model, (levels, name) in itertools.product(sweep.models, counts.items()):
        latent = autoencoders.resolve(model).latent
        if latent is None or latent.dequantise:
            continue
        for loss in sweep.trained:
            if objective.is_unbounded(lossjax.resolve(loss).family):
                yield (
                    f"{model} / {loss}: trains on dequantised pixels, "
                    f"({levels - 1} y + u)/{levels} with u uniform, because its "
                    "density is infinite at exactly 0 or 1"
                    if levels
                    else f"{model} / {loss}: its density is infinite at exactly 0 or "
                    f"1, and floats ({name}) are not dequantised: it may diverge"
                )
