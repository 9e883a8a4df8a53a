"""A Slurm array: one task a shard; what is preempted or out of time is queued again."""

from pathlib import Path

from lossjax.suite.launch import commands
from lossjax.suite.launch.plan import Engine, LaunchPlan
from lossjax.suite.launch.request import Request
from lossjax.suite.shipped import ROOT

REQUEUES = 20
_OPTIONS = {"account": "account", "partition": "partition", "cpus": "cpus-per-task"}


def render(request: Request, folder: Path) -> LaunchPlan:
    extra = "export LOSSJAX_EXTRA=store\n" if "://" in request.out else ""
    cpus = request.options.get("cpus")
    # srun does not take the number of the job for its own.
    step = "--ntasks=1" + (f" --cpus-per-task={cpus}" if cpus else "")
    script = (
        "#!/bin/bash\n"
        f"{extra}code=0\nsrun {step} {request.script()} || code=$?\n"
        f"if [ $code = 75 ] && [ ${{SLURM_RESTART_COUNT:-0}} -lt {REQUEUES} ]; then\n"
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"\n'
        "fi\nexit $code\n"
    )
    gres = () if request.accelerator == "none" else (f"--gres={request.accelerator}",)
    submit = (
        *("sbatch", "--parsable", f"--job-name={request.label}"),
        f"--array=0-{request.shards - 1}",
        *gres,
        *(f"--{_OPTIONS[name]}={value}" for name, value in request.options.items()),
        *(f"--time={request.hours}:00:00", "--requeue", "--open-mode=append"),
        # The sweep has two minutes to save its state before the time is up.
        "--signal=TERM@120",
        f"--chdir={ROOT}",
        f"--output={folder}/shard-%a.log",
        str(folder / "job.sh"),
    )
    note = "unverified: the options are Slurm's documented ones; no Slurm has run them"
    return LaunchPlan({"job.sh": script}, (submit,), (note,))


def _found(request: Request) -> list[str]:
    command = ("squeue", "--me", f"--name={request.label}", "--noheader", "--format=%A")
    return sorted(set(commands.run(command).output.split()))


ENGINE = Engine(
    "sbatch",
    "it comes with the cluster; run this on its login node",
    render,
    _found,
    lambda request: ("squeue", "--me", f"--name={request.label}", "--array"),
    lambda request, name: ("scancel", name),
    takes=tuple(_OPTIONS),
    shares=True,
)
