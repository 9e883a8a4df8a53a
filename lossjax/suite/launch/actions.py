"""What launch does: shows, submits, lists, deletes, brings back."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.launch import accelerators, commands
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.launch.engines import ENGINES
from lossjax.suite.launch.request import Request, check_label
from lossjax.suite.shipped import LOCAL, ROOT
from lossjax.suite.store import ownership, packs, places


def dry_run(request: Request) -> int:
    """Print every file and command, what it costs and how it is taken away again."""
    engine, folder = ENGINES[request.engine], _folder(request)
    request = _with_data(request)
    plan = engine.render(request, folder)
    for name, text in plan.files.items():
        print(f"--- {folder / name}\n{text}")
        if said := engine.validate(text):
            print(f"# {said}\n")
    print("--- commands")
    for command in plan.commands:
        print(shlex.join(command))
    print("\n--- cost and clean-up")
    print(accelerators.cost(request.accelerator, request.spot, request.shards))
    for note in plan.notes:
        print(note)
    print(f"clean-up: {_verb('clean', request)}")
    if volume := request.options.get("volume"):
        print(f"{request.out} is the volume {volume}: fetch it where that is mounted")
    print(f"results:  {_verb('fetch', request)}")
    print("nothing was submitted")
    return Exit.DONE


def submit(request: Request) -> int:
    """Give the sweep to the engine; what is there already is not made twice."""
    engine, folder = ENGINES[request.engine], _folder(request)
    commands.find(engine.program, engine.install)
    request = _with_data(request)
    out = places.parse(request.out)
    if places.is_remote(out):
        places.check(out, writing=True)
    ownership.check(out)
    engine.admit(request)
    there, gone = engine.found(request), engine.gone(request)
    plan = engine.render(request, folder)
    for text in plan.files.values():
        if (said := engine.validate(text)).startswith("INVALID"):
            raise UserError(f"{request.engine} refuses the task: {said}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in plan.files.items():
        (folder / name).write_text(text)
    for name in gone:
        commands.run(engine.delete(request, name))
        print(f"{name} was taken away or has ended: deleted, to be made again")
    there = [name for name in there if name not in gone]
    todo = [c for c in plan.commands if not any(_is_of(name, c) for name in there)]
    if there and len(todo) < len(plan.commands):
        print(f"already there, not made again: {', '.join(there)}")
        if request.engine != "sky":
            return Exit.DONE
    try:
        for command in todo:
            # A rate limit at the door leaves nothing behind; anything else might.
            print(commands.run(command).output, end="")
    except (EngineFailed, KeyboardInterrupt, UserError) as error:
        _undo(request, there)
        raise error
    print(f"submitted {request.label}; {_verb('status', request)}")
    return Exit.DONE


def _undo(request: Request, before: list[str]) -> None:
    """Delete what a submission that failed has made, also by half."""
    engine = ENGINES[request.engine]
    try:
        for name in engine.found(request):
            if name not in before:
                commands.run(engine.delete(request, name))
                print(f"deleted {name} again", file=sys.stderr)
    except (EngineFailed, UserError):
        clean = _verb("clean", request)
        print(f"something may be left behind: {clean}", file=sys.stderr)


def status(request: Request) -> int:
    """What the engine says of the label."""
    check_label(request)
    engine = ENGINES[request.engine]
    commands.find(engine.program, engine.install)
    found = engine.found(request)
    print(f"{request.label}: {', '.join(found) or 'nothing there'}")
    if found:
        print(commands.run(engine.status(request)).output, end="")
    return Exit.DONE


def clean(request: Request, *, dry: bool) -> int:
    """Delete what carries the label; --dry_run lists it only."""
    check_label(request)
    engine = ENGINES[request.engine]
    commands.find(engine.program, engine.install)
    found = engine.found(request)
    for name in found:
        command = engine.delete(request, name)
        print(shlex.join(command))
        if not dry:
            commands.run(command)
    print(f"{request.label}: {len(found)} {'found' if dry else 'deleted'}")
    return Exit.DONE


def bring(source: Path, target: Path) -> packs.Fetched:
    """Bring what is new of a store into a directory."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--to={target}: cannot be made: {error.strerror}") from None
    ownership.check(target, "--to")
    return packs.fetch(source, target)


def child(
    module: str, arguments: list[str], **environment: str
) -> Iterator[dict[str, Any]]:
    """The JSON lines of a program that imports jax, each as soon as it is said.

    Raises:
      UserError: it ended with 2; its own line.
      EngineFailed: it ended otherwise than with 0.
    """
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            # Unfiltered, a traceback ends with the error and not with advice.
            env=os.environ
            | {"JAX_PLATFORMS": "cpu", "JAX_TRACEBACK_FILTERING": "off"}
            | environment,
        ) as running,
    ):
        try:
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            code = running.wait()
        finally:
            running.kill()
        if code:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or [f"exit code {code}"]
            said = lines[-1].removeprefix("lossjax: ")
            raise UserError(said) if code == 2 else EngineFailed(said)


def _with_data(request: Request) -> Request:
    """The request with the datasets that a machine of its own must prepare.

    Raises:
      UserError: a loss or model is none, a shard has no work, or data are only here.
    """
    (said,) = child(
        "lossjax.suite.sweep.ahead_of_time", ["none", "0", *request.arguments]
    )
    blocks = int(said["blocks"])
    if request.shards > blocks:
        raise UserError(
            f"--shards={request.shards}: the config has {blocks} blocks, each a seed "
            f"of an arm; at most that many shards have work"
        )
    if ENGINES[request.engine].shares:
        return request
    for name in said["local"]:
        raise UserError(
            f"config.datasets: {name} is on this machine only, and {request.engine} "
            f"starts others; --engine=slurm or ray run where the folder is shared"
        )
    return dataclasses.replace(request, prepare=tuple(said["prepare"]))


def _folder(request: Request) -> Path:
    return LOCAL / "launch" / request.name


def _is_of(name: str, command: tuple[str, ...]) -> bool:
    return name in command


def _verb(verb: str, request: Request) -> str:
    words = ["./run.sh", "launch", verb]
    if verb == "fetch":
        words += [f"--out={request.out}", "--to=DIR"]
    else:
        words += [f"--name={request.name}", f"--engine={request.engine}"]
        if request.engine == "gcloud":
            words.append(f"--zone={request.options['zone']}")
    return shlex.join(words)
