"""Ray tasks on a cluster that is there: one a shard, tried again where a node dies."""

import json
import os
import re
import uuid
from pathlib import Path

from lossjax.suite.launch import commands
from lossjax.suite.launch.plan import Engine, LaunchPlan
from lossjax.suite.launch.request import Request
from lossjax.suite.shipped import ROOT

_OVER = ("STOPPED", "SUCCEEDED", "FAILED")
_DELETE = 'ray job stop "$1" && ray job delete "$1"'  # a job that runs is not deleted
# A job that is stopped takes its sweeps along, which save their states. Ray kills the
# children of a worker that ends outright, and leaves theirs.
_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
INSTALL = "LOSSJAX_EXTRA=cluster ./run.sh launch ... installs it"
NAMED = "the accelerator's name is one of Ray 2.60's ray.util.accelerators"


def render(request: Request, folder: Path) -> LaunchPlan:
    words = [*_WITH_PARENT, "timeout", "--kill-after=5m", f"{request.hours}h"]
    words += [*_WITH_PARENT, *request.command("SHARD")]
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
        # An id is used once, also after its job has ended.
        *("ray", "job", "submit", "--no-wait", "--submission-id"),
        f"{request.label}-{uuid.uuid4().hex[:8]}",
        *("--runtime-env", str(folder / "runtime.json")),
        # The cluster's Python has ray and nothing of ours.
        *("--", "python", "lossjax/suite/launch/on_ray"),
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


def _states(request: Request) -> dict[str, str]:
    """The jobs of the label: submission id -> status."""
    listed = commands.run(("ray", "job", "list")).output
    jobs = re.findall(
        rf"submission_id='({request.label}-[0-9a-f]{{8}})'.*?JobStatus\.([A-Z]+)",
        listed,
        re.DOTALL,
    )
    return dict(jobs)


def _found(request: Request) -> list[str]:
    return sorted(_states(request))


def _gone(request: Request) -> list[str]:
    states = _states(request)
    return sorted(name for name in states if states[name] in _OVER)


ENGINE = Engine(
    "ray",
    INSTALL,
    render,
    _found,
    lambda request: ("ray", "job", "list"),
    lambda request, name: ("bash", "-c", _DELETE, "delete", name),
    gone=_gone,
    shares=True,
)
