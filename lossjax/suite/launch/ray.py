"""Ray tasks on a cluster that is there: one a shard, tried again where a node dies."""

import json
import os
from pathlib import Path

from lossjax.suite.launch import commands
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.launch.plan import Engine, LaunchPlan
from lossjax.suite.launch.request import Request
from lossjax.suite.shipped import ROOT

INSTALL = "LOSSJAX_EXTRA=cluster ./run.sh launch ... installs it"
NAMED = "the accelerator's name is one of Ray 2.60's ray.util.accelerators"


def render(request: Request, folder: Path) -> LaunchPlan:
    words = request.command("SHARD")
    facts = {
        "command": words,
        "shards": request.shards,
        "accelerator": request.accelerator,
    }
    # The entrypoint is a shell's line over there, so nothing of the user's is in it.
    variables = {"LOSSJAX_LAUNCH": json.dumps(facts)}
    for name in ("LOSSJAX_VENV", "LOSSJAX_PYTHON", "LOSSJAX_DEVICE"):
        if value := os.environ.get(name):
            variables[name] = value
    if "://" in request.out:
        variables["LOSSJAX_EXTRA"] = "store"
    environment = {"working_dir": str(ROOT), "env_vars": variables}
    submit = (
        *("ray", "job", "submit", "--no-wait", "--submission-id", request.label),
        *("--runtime-env", str(folder / "runtime.json")),
        *("--", "python", "-m", "lossjax.suite.launch.on_ray"),
    )
    text = json.dumps(environment, indent=1) + "\n"
    kind = request.accelerator.partition(":")[0]
    return LaunchPlan(
        {"runtime.json": text},
        (submit,),
        notes=(
            "the cluster is that of RAY_ADDRESS, http://HEAD:8265",
            *(() if kind == "CPU" else (f"unverified: only CPU nodes ran; {NAMED}",)),
        ),
    )


def _found(request: Request) -> list[str]:
    try:
        commands.run(("ray", "job", "status", request.label))
    except EngineFailed as error:
        if "does not exist" in str(error) or "404" in str(error):
            return []
        raise
    return [request.label]


ENGINE = Engine(
    "ray",
    INSTALL,
    render,
    _found,
    lambda request: ("ray", "job", "status", request.label),
    lambda request, name: ("ray", "job", "delete", name),
)
