"""One VM through gcloud: a Compute Engine machine with its TPU, ct6e-standard-8t.

The tpu-vm API, which Google has frozen, is left to SkyPilot.
"""

import json
from pathlib import Path

from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import accelerators, commands
from lossjax.suite.launch.plan import ENVIRONMENT, SETUP, Engine, LaunchPlan
from lossjax.suite.launch.request import LABEL, Request
from lossjax.suite.shipped import ROOT

_GROUP = ("gcloud", "compute", "instances")
# States in which a VM computes nothing and never will.
_OVER = ("TERMINATED", "STOPPED")
# What the machine may do: read and write buckets, and delete itself.
_SCOPES = "--scopes=storage-rw,compute-rw"
# Whatever happens, it is shut down, so that the log outlives a failure; what went well
# is deleted with its disk.
_TRAP = "trap 'sudo shutdown -h now' EXIT\n"
_END = """\
if [ $code = 0 ]; then
    meta=http://metadata.google.internal/computeMetadata/v1/instance
    ask() { curl -sf -H Metadata-Flavor:Google "$meta/$1"; }
    token=$(ask service-accounts/default/token |
        sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
    curl -sf -X DELETE -H "Authorization: Bearer $token" \\
        "https://compute.googleapis.com/compute/v1/$(ask zone)/instances/$(ask name)"
fi
"""
_WAIT = 'for try in $(seq 30); do "$@" && exit 0; sleep 10; done; exit 1'


def render(request: Request, folder: Path) -> LaunchPlan:
    name, zone = request.job(0), f"--zone={request.options['zone']}"
    tpu = accelerators.tpu(request.accelerator)
    assert tpu is not None, "checked before"
    create = (
        *(*_GROUP, "create", name, zone, f"--labels={LABEL}={request.name}"),
        f"--machine-type={request.accelerator}",
        f"--image-family={tpu.generation.image}",
        f"--image-project={accelerators.IMAGE_PROJECT}",
        "--maintenance-policy=TERMINATE",
        "--boot-disk-size=100GB",
        _SCOPES,
        f"--max-run-duration={request.hours}h",
        "--instance-termination-action=DELETE",
        *(("--provisioning-model=SPOT",) if request.spot else ()),
    )
    start = (
        f'{_TRAP}{SETUP}cd "$HOME/lossjax"\n{ENVIRONMENT}'
        f"export LOSSJAX_SHARD=0/1\n{request.preparation()}code=75\n"
        f"while [ $code = 75 ]; do\n    code=0\n    {request.script()} || code=$?\n"
        f'done\necho "exit code $code"\n{_END}'
    )
    source = ("git", "-C", str(ROOT), "archive", "--format=tar.gz", "--prefix=lossjax/")
    archive = str(folder / "lossjax.tar.gz")
    files = (archive, str(folder / "start.sh"))
    # Nothing of the user's is in these words: they become one for a shell over there.
    remote = (
        "tar xzf lossjax.tar.gz && "
        "nohup bash start.sh > lossjax.log 2>&1 < /dev/null & sleep 1"
    )
    ssh = ("gcloud", "compute", "ssh", name, zone)
    return LaunchPlan(
        {"start.sh": start},
        (
            (*source, f"--output={archive}", "HEAD"),
            create,
            # A machine that was made a moment ago refuses.
            ("bash", "-c", _WAIT, "wait", *ssh, "--command=true"),
            ("gcloud", "compute", "scp", *files, f"{name}:", zone),
            (*ssh, f"--command={remote}"),
        ),
        notes=(
            f"it deletes itself when the sweep is done, and Google deletes it after "
            f"{request.hours} h, whatever happens; after a failure it is shut down, "
            f"its disk and lossjax.log stay until launch clean",
            f"unverified: these commands have never run on an account; the image is "
            f"the one that {accelerators.IMAGES} gives such machines, disk and network "
            f"are gcloud's defaults",
            "a spot VM that is taken away is deleted: launch once more, it resumes",
            f"its output: {' '.join(ssh)} --command='tail -f lossjax.log'",
        ),
    )


def _admit(request: Request) -> None:
    """What is sent is the last commit."""
    changed = commands.run(("git", "-C", str(ROOT), "status", "--porcelain")).output
    if lines := changed.splitlines():
        raise UserError(
            f"{ROOT}: {lines[0].strip()} is not committed, and the last commit is what "
            f"is sent: commit, or git stash"
        )


def _listing(request: Request) -> tuple[str, ...]:
    return (*_GROUP, "list", f"--filter=labels.{LABEL}={request.name}")


def _states(request: Request) -> dict[str, str]:
    """What carries the label: name -> state, as gcloud calls it."""
    output = commands.run((*_listing(request), "--format=json")).output
    return {str(item["name"]): item.get("status", "") for item in json.loads(output)}


def _found(request: Request) -> list[str]:
    return sorted(_states(request))


def _gone(request: Request) -> list[str]:
    states = _states(request)
    return sorted(name for name in states if states[name] in _OVER)


def _delete(request: Request, name: str) -> tuple[str, ...]:
    return (*_GROUP, "delete", name, f"--zone={request.options['zone']}", "--quiet")


ENGINE = Engine(
    "gcloud",
    "https://cloud.google.com/sdk/docs/install",
    render,
    _found,
    _listing,
    _delete,
    admit=_admit,
    gone=_gone,
    takes=("zone",),
)
