"""The verb `sweep`: trains the grid of a config, stores rows, writes the report."""

import dataclasses
import glob
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from absl import flags
from rich.console import Console

from lossjax import (
    CODE_METRICS,
    LATENT_METRICS,
    METRICS,
    NUMERICS,
    CodeMetric,
    LatentMetric,
    Metric,
    platform,
    resolve,
)
from lossjax.metrics.diagnostics import DIAGNOSTICS
from lossjax.models import autoencoders
from lossjax.suite import data, protocol
from lossjax.suite.cli.commandline import (
    ROOT,
    Exit,
    Interrupted,
    Interrupts,
    SelfTestFailed,
    parse_sweep,
)
from lossjax.suite.config import Sweep, UserError, unknown
from lossjax.suite.report import build as report
from lossjax.suite.report.console import render
from lossjax.suite.store import places
from lossjax.suite.store import results as store
from lossjax.suite.sweep import grid, layouts
from lossjax.suite.sweep.resident import gallery_of
from lossjax.training import objective
from lossjax.training.replicas import MEMORY_SHARE
from lossjax.training.settings import DEFAULT_OPTIMISER, OPTIMISERS, SCHEDULES

USAGE = """
./run.sh sweep [--config=FILE[:arg]] [--config.FIELD=VALUE ...] [--out=DIR]

Trains every loss of the config on every dataset: learning rates are tuned on validation
data with the tuning seeds, the best one is trained on fresh seeds and scored on test
data. Stores every run, writes the report, prints the comparison table and the verdict.
Run it again and nothing is trained twice; stop it at any time, run it again to go on.

  ./run.sh sweep
  ./run.sh sweep --config=configs/mnist.py --config.datasets=idx:DIR
  ./run.sh sweep --config.losses="bce,huber(delta=0.1)" --config.seeds=0,1,2
"""
DEFAULT = "configs/digits.py"
_Found = TypeVar("_Found", data.Dataset, data.Outline)
_PLATFORMS = ("cpu", "gpu", "tpu")
_ACCELERATORS = {
    "gpu": ("/dev/nvidia[0-9]*",),
    "tpu": ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*"),
}


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_string(
        "out",
        None,
        "directory, gs:// or s3:// prefix of results (results/local/NAME)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "shard", None, "i/n: train every n-th cell, from i", flag_values=values
    )
    flags.DEFINE_string(
        "platform", None, "cpu, gpu or tpu: compute there", flag_values=values
    )
    flags.DEFINE_bool(
        "dry_run", False, "print the runs, train nothing", flag_values=values
    )
    name, sweep = parse_sweep(values, arguments, DEFAULT, USAGE)
    sweep = checked(sweep)
    out = places.parse(values.out or str(ROOT / "results" / "local" / name))
    check_out(out, writing=not values.dry_run)
    shard = _shard(values.shard)
    console = Console()
    datasets = load(sweep)
    if values.dry_run:
        return _dry_run(sweep, datasets, out, shard, console)
    start_platform(sweep, values.platform, console)
    _check_memory(datasets)
    description = describe(sweep, datasets)
    if not places.is_remote(out):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out={out}: cannot be made: {error.strerror}") from None
    # A shard on a store would fetch all others' runs, for a report without verdict.
    reports = not places.is_remote(out) or shard[1] == 1
    for line in notes(sweep):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    interrupts = Interrupts()
    try:
        store.discard_temporaries(out)
        store.write_sweep(out, description)
        with interrupts.held():
            failed = grid.train(
                sweep, datasets, description, out, shard, interrupts, console
            )
        summary = report.build(out) if reports else None
    except Interrupted as error:
        again = shlex.join(["./run.sh", "sweep", *arguments])
        raise Interrupted(
            f"{error}; every finished run is kept in {out}; to go on: {again}"
        ) from None
    if summary is None:
        fetch = shlex.join(["./run.sh", "launch", "fetch", f"--out={out}"])
        console.print(
            f"shard {values.shard} is done; {fetch} merges the shards and reports",
            highlight=False,
            soft_wrap=True,
        )
    else:
        render(summary, console)
    return Exit.FAILED if failed else Exit.DONE


def checked(sweep: Sweep) -> Sweep:
    """The sweep with canonical loss names, after every check that needs a table."""
    losses: list[str] = []
    for text in sweep.losses:
        try:
            loss = resolve(text)
        except ValueError as error:
            raise UserError(f"config.losses: {error}") from None
        if loss.name in losses:
            raise UserError(f"config.losses: {text!r} is {loss.name!r}, named twice")
        losses.append(loss.name)
    names: list[str] = []
    for text in sweep.models:
        try:
            model = autoencoders.resolve(text)
        except ValueError as error:
            raise UserError(f"config.models: {error}") from None
        if model.name in names:
            raise UserError(f"config.models: {text!r} is {model.name!r}, named twice")
        names.append(model.name)
    if sweep.schedule is not None and sweep.schedule not in SCHEDULES:
        raise unknown("config.schedule", str(sweep.schedule), SCHEDULES)
    if sweep.optimiser not in (None, *OPTIMISERS):
        raise unknown("config.optimiser", str(sweep.optimiser), OPTIMISERS)
    # One spelling of the default, or its runs would be strangers to each other.
    optimiser = None if sweep.optimiser == DEFAULT_OPTIMISER else sweep.optimiser
    if sweep.precision not in autoencoders.PRECISIONS:
        raise unknown("config.precision", str(sweep.precision), autoencoders.PRECISIONS)
    sweep = dataclasses.replace(
        sweep, losses=tuple(losses), models=tuple(names), optimiser=optimiser
    )
    metrics = [name for name, row in measured(sweep).items() if row.direction != "none"]
    if sweep.primary_metric not in metrics:
        raise unknown("config.primary_metric", str(sweep.primary_metric), metrics)
    return sweep


def measured(sweep: Sweep) -> dict[str, Metric | CodeMetric | LatentMetric]:
    """Every metric that a run of the sweep may have, by name."""
    variational = any(autoencoders.resolve(name).variational for name in sweep.models)
    return {**METRICS, **CODE_METRICS, **(LATENT_METRICS if variational else {})}


def notes(sweep: Sweep) -> Iterator[str]:
    """What a user should know of how the losses are trained, a line each."""
    for model in sweep.models:
        latent = autoencoders.resolve(model).latent
        if latent is None or latent.dequantise:
            continue
        for loss in sweep.losses:
            if objective.is_unbounded(resolve(loss).family):
                yield (
                    f"{model} / {loss}: trains on dequantised pixels, (255 y + u)/256 "
                    f"with u uniform, because its density is infinite at exactly 0 or 1"
                )


def check_out(out: Path, *, writing: bool = True) -> None:
    """The nearest existing folder of `out` must be one that we can write to."""
    if places.is_remote(out):
        places.check(out, writing=writing)
        return
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise UserError(f"--out={out}: {place} is a file; name a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"--out={out}: {place} is not writable; name another directory")


def _shard(text: str | None) -> tuple[int, int]:
    """(index, count) of `--shard=i/n`; (0, 1) where none is named."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not int(match[1]) < int(match[2]):
        raise UserError(f"--shard={text}: must be i/n with 0 <= i < n, for example 0/3")
    return int(match[1]), int(match[2])


def load(sweep: Sweep) -> dict[str, data.Dataset]:
    """Every dataset, checked against the batch size."""
    try:
        for name in sweep.datasets:
            data.check(name)
    except data.DataError as error:
        raise UserError(str(error)) from None
    return _each(sweep, data.load, lambda dataset: len(dataset.train))


def outlines(sweep: Sweep) -> dict[str, data.Outline]:
    """The outline of every dataset, checked alike; images are read where they must."""
    return _each(sweep, data.outline, lambda outline: outline.counts["train"])


def _each(
    sweep: Sweep, find: Callable[..., _Found], trains: Callable[[_Found], int]
) -> dict[str, _Found]:
    """What `find` makes of every dataset of the sweep, by name.

    Raises:
      UserError: it cannot, or there are fewer training images than a batch takes.
    """
    fields = {
        name: getattr(sweep, name)
        for name in ("image_size", "channels", "max_examples", "group_by")
    }
    try:
        found = {name: find(name, **fields) for name in sweep.datasets}
    except data.DataError as error:
        raise UserError(str(error)) from None
    for name, one in found.items():
        if sweep.batch_size > (images := trains(one)):
            raise UserError(
                f"config.batch_size = {sweep.batch_size}: {name} has {images} training "
                f"images; at most that many fit a batch"
            )
    return found


def start_platform(sweep: Sweep, wanted: str | None, console: Console) -> None:
    """Start jax's backend, name it, and test that it computes right numbers."""
    if wanted is not None and wanted not in _PLATFORMS:
        raise unknown("--platform", wanted, _PLATFORMS)
    platform.prepare(cpu_devices=min(len(os.sched_getaffinity(0)), sweep.at_once))
    import jax

    if wanted is not None:
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        devices = jax.devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--platform={wanted}: no such device: {reason}") from None
    backend = jax.default_backend()
    present = [
        kind for kind, paths in _ACCELERATORS.items() for p in paths if glob.glob(p)
    ]
    if backend == "cpu" and wanted is None and present:
        raise UserError(
            f"this machine has a {present[0]} that jax does not use; install its lock "
            f"with LOSSJAX_DEVICE, or compute on the CPU with --platform=cpu"
        )
    cores = f" (one per core of a {_processor()})" if backend == "cpu" else ""
    console.print(
        f"{backend}: {len(devices)} x {devices[0].device_kind}{cores}, "
        f"jax {jax.__version__}",
        highlight=False,
    )
    try:
        platform.self_test()
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None


def _check_memory(datasets: dict[str, data.Dataset]) -> None:
    """Refuse images that no device could hold: they are resident while a run trains."""
    import jax

    devices = jax.local_devices()
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    # Virtual CPU devices share the host's memory, and each holds a copy.
    limit = layouts.memory_of(devices[0]) or host // len(devices)
    for dataset in datasets.values():
        try:
            data.check_memory(dataset, int(MEMORY_SHARE * limit))
        except data.DataError as error:
            raise UserError(str(error)) from None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "CPU"
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1].strip() if match else "CPU"


def describe(sweep: Sweep, datasets: dict[str, data.Dataset]) -> dict[str, Any]:
    """The content of sweep.json: all that the report needs to know without jax."""
    return {
        "config": sweep.to_json(),
        "losses": list(sweep.losses),
        "hypers": {name: dict(resolve(name).hyper) for name in sweep.losses},
        "metrics": {
            name: {
                "direction": metric.direction,
                "unit": metric.unit,
                "margin": vars(metric.margin),
                **(_latent_facts(metric) if isinstance(metric, LatentMetric) else {}),
            }
            for name, metric in measured(sweep).items()
        },
        "diagnostics": {
            name: {"unit": row.unit, "note": row.note}
            for name, row in DIAGNOSTICS.items()
        },
        "datasets": _dataset_facts(datasets),
        "provenance": platform.describe() | {"numerics": NUMERICS},
    }


def _latent_facts(metric: LatentMetric) -> dict[str, Any]:
    return {"note": metric.note, "partial": metric.partial, "variational": True}


def _dataset_facts(datasets: dict[str, data.Dataset]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "fingerprint": dataset.fingerprint,
            "shape": list(dataset.image_shape),
            "train": len(dataset.train.images),
            "validation": len(dataset.validation.images),
            "test": len(dataset.test.images),
            "gallery": store.pack(
                dataset.test.images[gallery_of(len(dataset.test.images))]
            ),
        }
        for name, dataset in datasets.items()
    }


def _dry_run(
    sweep: Sweep,
    datasets: dict[str, data.Dataset],
    out: Path,
    shard: tuple[int, int],
    console: Console,
) -> int:
    """Print what a sweep would train."""
    cells = grid.cells_of(sweep, _dataset_facts(datasets), shard)
    results = grid.good_results(sweep, cells, out).results
    total = pending = 0
    for cell in cells:
        tuning, final = (
            len(sweep.tuning_seeds) * len(sweep.learning_rates),
            len(sweep.seeds),
        )
        if len(sweep.learning_rates) == 1:
            tuning = 0
        plan = protocol.plan(sweep, cell, results)
        todo = len(plan.pending) + (final if plan.learning_rate is None else 0)
        console.print(
            f"{cell}: {tuning} tuning runs, {final} final runs; {todo} to train",
            highlight=False,
            soft_wrap=True,
        )
        total, pending = total + tuning + final, pending + todo
    console.print(
        f"{total} runs of {sweep.train_steps} steps, {pending} to train "
        f"(and {len(sweep.tuning_seeds)} more for each loss whose best rate is at the "
        f"edge of the grid); nothing was trained",
        highlight=False,
        soft_wrap=True,
    )
    return Exit.DONE
