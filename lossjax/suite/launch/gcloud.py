"""One VM through gcloud: a Compute Engine machine, or the frozen tpu-vm API.

The accelerator's name says which: ct6e-standard-8t is a machine type, v6e-8 belongs to
the tpu-vm API.
"""

import json
from pathlib import Path

from lossjax.suite.launch import accelerators, commands
from lossjax.suite.launch.plan import ENVIRONMENT, SETUP, Engine, LaunchPlan
from lossjax.suite.launch.request import LABEL, Request
from lossjax.suite.shipped import ROOT

_CREDENTIALS = "--scopes=cloud-platform"
# States in which a VM computes nothing and never will: a TPU VM cannot be started again
# after PREEMPTED, and ours is shut down at the end of its script.
_OVER = ("PREEMPTED", "TERMINATED", "STOPPED")
UNVERIFIED = "unverified: these commands have never run on an account"


def _group(request: Request) -> tuple[str, ...]:
    """The gcloud group that the accelerator's name belongs to."""
    row = accelerators.tpu(request.accelerator)
    if row is not None and request.accelerator == row.machine:
        return ("gcloud", "compute", "instances")
    return ("gcloud", "compute", "tpus", "tpu-vm")


def render(request: Request, folder: Path) -> LaunchPlan:
    group, name = _group(request), request.job(0)
    tpu = accelerators.tpu(request.accelerator)
    assert tpu is not None, "checked before"
    zone, label = f"--zone={request.zone}", f"--labels={LABEL}={request.name}"
    create: tuple[str, ...]
    if group[2] == "instances":
        create = (
            *(*group, "create", name, zone, label),
            f"--machine-type={request.accelerator}",
            f"--image-family={tpu.generation.image}",
            f"--image-project={accelerators.IMAGE_PROJECT}",
            "--maintenance-policy=TERMINATE",
            "--boot-disk-size=100GB",
            _CREDENTIALS,
            f"--max-run-duration={request.hours}h",
            "--instance-termination-action=DELETE",
            *(("--provisioning-model=SPOT",) if request.spot else ()),
        )
        reach: tuple[str, ...] = ("gcloud", "compute")
        notes: tuple[str, ...] = (
            f"Google deletes the VM after {request.hours} h, whatever happens",
            f"{UNVERIFIED}; the image is the one that {accelerators.IMAGES} gives such "
            f"machines, disk and network are gcloud's defaults",
            "a spot VM that is taken away is deleted: launch once more, it resumes",
        )
    else:
        create = (
            *(*group, "create", name, zone, label),
            f"--accelerator-type={request.accelerator}",
            f"--version={tpu.generation.runtime}",
            _CREDENTIALS,
            *(("--spot",) if request.spot else ()),
        )
        reach = group
        notes = (
            "Google has frozen the tpu-vm API; the VM costs until launch clean "
            "deletes it",
            f"{UNVERIFIED}; --version is as on {accelerators.RUNTIMES}",
            "a spot VM that is taken away stays listed: launch once more, it is "
            "deleted, made again and resumes",
        )
    shut = "sudo shutdown -h now" if group[2] == "instances" else ":"
    start = (
        f'{SETUP}cd "$HOME/lossjax"\n{ENVIRONMENT}'
        f"export LOSSJAX_SHARD=0/1\ncode=75\n"
        f"while [ $code = 75 ]; do\n    code=0\n    {request.script()} || code=$?\n"
        f'done\necho "exit code $code"\n{shut}\n'
    )
    source = ("git", "-C", str(ROOT), "archive", "--format=tar.gz", "--prefix=lossjax/")
    archive = str(folder / "lossjax.tar.gz")
    files = (archive, str(folder / "start.sh"))
    # Nothing of the user's is in these words: they become one for a shell over there.
    remote = (
        "tar xzf lossjax.tar.gz && "
        "nohup bash start.sh > lossjax.log 2>&1 < /dev/null & sleep 1"
    )
    return LaunchPlan(
        {"start.sh": start},
        (
            (*source, f"--output={archive}", "HEAD"),
            create,
            (*reach, "scp", *files, f"{name}:", zone),
            (*reach, "ssh", name, zone, f"--command={remote}"),
        ),
        notes=(
            *notes,
            f"its output: {' '.join(reach)} ssh {name} {zone} "
            f"--command='tail -f lossjax.log'",
        ),
    )


def _listing(request: Request) -> tuple[str, ...]:
    where = (
        (f"--filter=labels.{LABEL}={request.name}",)
        if _group(request)[2] == "instances"
        else (f"--zone={request.zone}", f"--filter=labels.{LABEL}={request.name}")
    )
    return (*_group(request), "list", *where)


def _states(request: Request) -> dict[str, str]:
    """What carries the label: name -> state, as gcloud calls it."""
    output = commands.run((*_listing(request), "--format=json")).output
    return {
        str(item["name"]).rpartition("/")[2]: item.get("state", item.get("status", ""))
        for item in json.loads(output)
    }


def _found(request: Request) -> list[str]:
    return sorted(_states(request))


def _gone(request: Request) -> list[str]:
    states = _states(request)
    return sorted(name for name in states if states[name] in _OVER)


def _delete(request: Request, name: str) -> tuple[str, ...]:
    return (*_group(request), "delete", name, f"--zone={request.zone}", "--quiet")


ENGINE = Engine(
    "gcloud",
    "https://cloud.google.com/sdk/docs/install",
    render,
    _found,
    _listing,
    _delete,
    gone=_gone,
)
