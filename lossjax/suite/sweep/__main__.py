"""The verb `sweep`: trains the grid of a config, stores rows, writes the report."""

import shlex
import sys
from pathlib import Path

from lossjax.suite import shipped
from lossjax.suite.cli.commandline import define, parse_sweep
from lossjax.suite.cli.errors import Exit, Interrupted, UserError, unknown
from lossjax.suite.cli.signals import Interrupts, run
from lossjax.suite.cli.terminal import LoggedTerminal
from lossjax.suite.report import build as report
from lossjax.suite.report.console import render
from lossjax.suite.store import ownership, parameters, places
from lossjax.suite.store import results as store
from lossjax.suite.sweep import (
    backend,
    data_checks,
    datasets,
    grid,
    output,
    shards,
    validation,
)
from lossjax.suite.sweep.description import describe
from lossjax.suite.sweep.preview import preview

USAGE = """
./run.sh sweep [--config=FILE[:arg]] [--config.FIELD=VALUE ...] [--out=DIR]

Trains every loss of the config on every dataset: every seed tries every learning rate,
keeps the best one on validation data, and that run alone is scored on test data.
Stores every run, writes the report, prints the comparison table and the verdict.
Run it again and nothing is trained twice; stop it at any time, run it again to go on.
DIR/sweep.log keeps every line, with its time.

  ./run.sh sweep
  ./run.sh sweep --config=configs/mnist.py --config.datasets=idx:DIR
  ./run.sh sweep --config.losses="bce,huber(delta=0.1)" --config.budgets=50,100
  ./run.sh sweep --config.losses="bce,huber(delta=tune(0.03, 0.1, 0.3))"
"""


def main(arguments: list[str]) -> int:
    values = define(
        out=(None, "directory, gs:// or s3:// prefix of results (results/local/NAME)"),
        shard=(
            None,
            "i/n: train part i of n of the grid, from 0; auto: as Slurm, Kubernetes or "
            "a TPU slice numbers its tasks",
        ),
        platform=(None, "cpu, gpu (or cuda) or tpu: compute there"),
        dry_run=(False, "print the runs, train nothing"),
        keep_models=(
            None,
            "best or all: store the weights of the runs that count, or all",
        ),
        retrain=(False, "train anew what other computing code has stored"),
        quiet=(False, "print the comparison and the verdict alone"),
    )
    name, sweep = parse_sweep(values, arguments, USAGE)
    if (keep := values.keep_models) not in (None, *parameters.WHICH):
        raise unknown("--keep_models", keep, parameters.WHICH)
    backend.check(values.platform)
    backend.prepare(sweep)
    sweep = validation.validate(sweep)
    out = places.parse(values.out or str(output.default(name, sweep, arguments)))
    output.check(out, writing=not values.dry_run)
    ownership.check(out)
    shard = shards.part(values.shard)
    part = "{}/{}".format(*shard)
    console = LoggedTerminal(quiet=values.quiet and not values.dry_run)
    if shard[1] > 1 and values.shard != part:
        console.print(f"part {part} of the grid", soft_wrap=True)
    loaded = datasets.load(sweep)
    if values.dry_run:
        preview(sweep, loaded, out, shard, console)
        return Exit.DONE
    backend.start(sweep, values.platform, console)
    notes = data_checks.check(sweep, loaded)
    description = describe(sweep, loaded)
    output.make(out)
    if not places.is_remote(out):
        console.keep_in(out / ownership.LOG)
    for line in notes:
        console.print(line, soft_wrap=True)
    interrupts = Interrupts()
    # A shard on a store would fetch all others' runs, for a report without verdict.
    reports = not places.is_remote(out) or shard[1] == 1
    try:
        ownership.discard_temporaries(out)
        store.write_sweep(out, description)
        with interrupts.held():
            failed = grid.train(
                sweep,
                loaded,
                description,
                out,
                shard,
                interrupts,
                console,
                retrain=values.retrain,
                keep_models=keep,
            )
        summary = _report(out) if reports else None
    except Interrupted as error:
        again = shlex.join(["./run.sh", "sweep", *arguments])
        raise Interrupted(
            f"{error}; every finished run is kept in {out}; to go on: {again}"
        ) from None
    if summary is not None:
        console.quiet = False
        render(summary, console)
    else:
        fetch = shlex.join([shipped.COMMAND, "launch", "fetch", f"--out={out}"])
        text = f"shard {part} is done; {fetch} merges the shards and reports"
        console.print(text, soft_wrap=True)
    return Exit.FAILED if failed else Exit.DONE


def _report(out: Path) -> report.Summary:
    """The report on what was just trained.

    Raises:
      UserError: its folder is not ours alone.
      OSError: it cannot be written, or what was stored has gone meanwhile.
    """
    try:
        return report.build(out)
    except UserError:
        # Nobody named a wrong directory: a moment ago the runs were stored in it.
        if places.is_remote(out) or (out / "sweep.json").exists():
            raise
    raise OSError(f"--out={out}: has vanished since its runs were stored")


if __name__ == "__main__":
    run(main, sys.argv[1:])
