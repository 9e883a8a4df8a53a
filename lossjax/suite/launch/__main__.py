"""The verb `launch`: a sweep on rented accelerators, one command."""

import os
import sys
from pathlib import Path

from absl import flags

from lossjax.suite.cli.commandline import define, parse, parse_sweep
from lossjax.suite.cli.errors import Exit, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.launch import accelerators, actions, check
from lossjax.suite.launch.engines import ENGINES
from lossjax.suite.launch.request import OPTIONS, Request, config_arguments
from lossjax.suite.launch.request import check as check_request
from lossjax.suite.shipped import clone
from lossjax.suite.store import places
from lossjax.suite.wording import count

USAGE = """
./run.sh launch [--config=FILE] --accelerator=NAME --out=gs://... [--dry_run]
./run.sh launch --check --accelerator=NAME [--config=FILE] [--to=FILE]
./run.sh launch status | fetch | clean [--name=NAME] ...

Runs `./run.sh sweep --shard=i/n --out=...` on rented accelerators, through an engine:
SkyPilot managed jobs (sky, the default), one VM (gcloud), an Indexed Job (k8s), a Slurm
array (slurm), or a Ray cluster that is already there (ray). The command is idempotent:
launched again it resumes, and nothing is trained twice.

  ./run.sh launch --check --accelerator=tpu-v6e-8   compile for it, or for h100
  ./run.sh launch --accelerator=tpu-v6e-8 --shards=4 --out=gs://B/P --dry_run
  ./run.sh launch status --name=digits              what the engine says of it
  ./run.sh launch fetch --out=gs://B/P --to=DIR     bring the runs here, report
  ./run.sh launch clean --name=digits               delete what has its label

--check has compiled for v5e, v5p, v6e and tpu7x, h100, h200 and b200, of which none was
there: a program takes seconds for small images and data sets, minutes for large ones.
--to=FILE keeps what the compiler said. No
account, TPU or Slurm cluster was available: --dry_run marks what was never tried with
`unverified:`.

Exit codes: 0 submitted, or done; 1 the engine failed (no quota, no capacity, no answer)
and what was begun was deleted; 2 bad usage, no credentials, engine not installed:
nothing was made; 75 interrupted.
"""
VERBS = ("status", "fetch", "clean")


def main(arguments: list[str]) -> int:
    ours, others = config_arguments(arguments)
    values = _flags()
    operands = parse(values, others, USAGE, operands=1, fields=True)
    verb = operands[0] if operands else ""
    if verb and verb not in VERBS:
        raise unknown("argument of launch", verb, VERBS)
    if values.engine not in ENGINES:
        raise unknown("--engine", values.engine, ENGINES)
    if verb == "fetch":
        return _fetch(values.out, values.to)
    clone("launch")  # its folder is what is sent
    name, sweep = parse_sweep(flags.FlagValues(), ours, USAGE)
    request = Request(
        values.name or name.replace("_", "-").lower(),
        values.engine,
        values.accelerator or "",
        values.spot,
        values.shards,
        values.out or "",
        ours,
        values.hours,
        {name: str(values[name].value) for name in OPTIONS if values[name].value},
    )
    engine = ENGINES[values.engine]
    if strange := [name for name in request.options if name not in engine.takes]:
        raise UserError(f"--{strange[0]} goes {_words(strange[0])}")
    if verb == "status":
        return actions.status(request)
    if verb == "clean":
        return actions.clean(request, dry=values.dry_run)
    if not request.accelerator:
        named = accelerators.examples(values.engine)
        raise UserError(f"--accelerator is missing; {named}")
    if values.check:
        to = Path(values.to) if values.to else None
        if to and (places.is_remote(places.parse(values.to)) or to.is_dir()):
            raise UserError(f"--to={values.to}: must be a local file, not a directory")
        return check.report(request.accelerator, name, list(ours), request.spot, to)
    if not request.out:
        raise UserError(
            "--out is missing; --out=gs://BUCKET/PREFIX or s3://BUCKET/PREFIX keeps "
            "the results when the machine is gone"
        )
    check_request(request, shares=engine.shares)
    if values.dry_run:
        return actions.dry_run(request)
    return actions.submit(request)


def _flags() -> flags.FlagValues:
    return define(
        accelerator=(
            None,
            "by the engine's own name: tpu-v6e-8, ct6e-standard-8t, A100:8",
        ),
        out=(None, "where the runs go: gs://..., s3://..., or a shared folder"),
        to=(
            None,
            "with fetch: the directory that the runs are brought to; with --check: a "
            "JSON file that keeps what the compiler said",
        ),
        name=(None, "label of all that is made (the config's name)"),
        **{flag: (None, _words(flag)) for flag in OPTIONS},
        engine=("sky", ", ".join(ENGINES)),
        shards=(1, "how many jobs"),
        hours=(6, "longest time of a job or VM"),
        spot=(False, "machines that may be preempted"),
        dry_run=(False, "print all, do nothing"),
        check=(False, "compile for the TPU or GPU only"),
    )


def _words(flag: str) -> str:
    takers = " or ".join(name for name, row in ENGINES.items() if flag in row.takes)
    return f"with --engine={takers}: {OPTIONS[flag][0]}"


def _fetch(out: str | None, to: str | None) -> int:
    """Bring runs to a directory, then report what they say together."""
    if not out:
        raise UserError("--out is missing; it names where the sweep put its runs")
    source = places.parse(out)
    if places.is_remote(source):
        if not to:
            raise UserError("--to is missing; --to=DIR names where the runs go")
        places.check(source, writing=False)
        target = Path(to)
        came = actions.bring(source, target)
        for path, wrong in came.damaged.items():
            print(f"damaged, not used: {path}: {wrong}")
        said = f"{count(came.runs, 'run')} in {count(came.packs, 'new pack')}"
        print(f"fetched {said} into {target}; {came.before} packs were there")
    else:
        target = source
    command = [sys.executable, "-m", "lossjax.suite.cli", "report", f"--out={target}"]
    sys.stdout.flush()
    os.execv(sys.executable, command)
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
