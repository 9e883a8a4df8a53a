"""SkyPilot managed jobs: one job a shard, recovered from preemption by itself."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import accelerators, commands
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.launch.plan import ENVIRONMENT, SETUP, Engine, LaunchPlan, as_yaml
from lossjax.suite.launch.request import LABEL, Request

INSTALL = (
    "python3 -m venv ~/sky && ~/sky/bin/pip install -r requirements/launch.lock, "
    "then put ~/sky/bin on PATH"
)
_ACTIVE = {"PENDING", "SUBMITTED", "STARTING", "RUNNING", "RECOVERING", "WINDING_DOWN"}
_VALIDATE = """
import sys, sky
try:
    sky.Task.from_yaml(sys.argv[1])
except Exception as error:
    sys.exit(" ".join(str(error).split())[:300])
"""


def render(request: Request, folder: Path) -> LaunchPlan:
    # What ends otherwise would end so again: a bad flag (2), a failed run (1).
    recovery = {"strategy": "EAGER_NEXT_REGION", "recover_on_exit_codes": [75]}
    resources: dict[str, Any] = {
        "accelerators": request.accelerator,
        "use_spot": request.spot,
        "labels": {LABEL: request.name},
        "job_recovery": recovery,
    }
    default = "gcp" if request.accelerator.startswith("tpu-") else ""
    if infra := request.options.get("infra", default):
        resources = {"infra": infra} | resources
    task: dict[str, Any] = {
        "name": request.label,
        "workdir": ".",
        "resources": resources,
        "envs": {"LOSSJAX_SHARD": f"0/{request.shards}"},
        "setup": SETUP,
        "run": f"set -eu\n{ENVIRONMENT}{request.preparation()}"
        f"exec {request.limited()}\n",
    }
    if volume := request.options.get("volume"):
        task["volumes"] = {request.out: volume}
    text = as_yaml(task)
    file = folder / "task.yaml"
    launches = tuple(
        (
            *("sky", "jobs", "launch", "--yes", "--async"),
            *("--name", request.job(index)),
            *("--env", f"LOSSJAX_SHARD={index}/{request.shards}"),
            str(file),
        )
        for index in range(request.shards)
    )
    notes = ("unverified: no such job has ever run on an account",)
    return LaunchPlan({"task.yaml": text}, launches, notes)


def _admit(request: Request) -> None:
    """SkyPilot takes a job in any case; without an account it fails unseen."""
    if accelerators.tpu(request.accelerator) is None or "infra" in request.options:
        return
    said = commands.run(("sky", "check", "gcp")).output
    if "GCP: disabled" in said:
        raise UserError(
            "sky check gcp: GCP is disabled, no credentials: gcloud init, then "
            "gcloud auth application-default login"
        )


def _found(request: Request) -> list[str]:
    names = {request.job(index) for index in range(1000)}
    jobs = _queue()
    return sorted(
        {
            str(job.get("job_name") or job.get("name"))
            for job in jobs
            if str(job.get("status", "")).rpartition(".")[2] in _ACTIVE
        }
        & names
    )


def _queue() -> list[dict[str, Any]]:
    try:
        output = commands.run(("sky", "jobs", "queue", "--all", "-o", "json")).output
    except EngineFailed as error:
        if "No in-progress managed jobs" in str(error):
            return []
        raise
    found = json.loads(output[output.index("[") :] if "[" in output else "[]")
    return [job for job in found if isinstance(job, dict)]


def validate(text: str) -> str:
    """One line: what SkyPilot's own schema says, or why nobody asked it."""
    python = _interpreter()
    if python is None:
        return f"not validated: {INSTALL}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "task.yaml"
        file.write_text(text)
        ended = subprocess.run(
            [python, "-c", _VALIDATE, str(file)],
            capture_output=True,
            text=True,
            env=os.environ | {"SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
        )
    if ended.returncode:
        return f"INVALID: {' '.join(ended.stderr.split())[-300:]}"
    return "validated by sky.Task"


def _interpreter() -> str | None:
    """The Python that has SkyPilot: the one of the program on PATH."""
    program = shutil.which("sky")
    if program is None:
        return None
    first = Path(program).read_bytes()[:200].split(b"\n", 1)[0]
    python = first.removeprefix(b"#!").decode(errors="replace").strip()
    return python if "python" in python and Path(python).is_file() else sys.executable


ENGINE = Engine(
    "sky",
    INSTALL,
    render,
    _found,
    lambda request: ("sky", "jobs", "queue", "--all"),
    lambda request, name: ("sky", "jobs", "cancel", "--yes", "--name", name),
    validate,
    admit=_admit,
    takes=("infra", "volume"),
)
