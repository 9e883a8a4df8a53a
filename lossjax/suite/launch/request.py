"""What is asked of an engine, checked before anything is made."""

import re
import shlex
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lossjax.suite import shipped
from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import accelerators
from lossjax.suite.store import places

# What every engine allows: a label of Google Cloud, a Slurm job name, a DNS label.
_NAME = r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?"
LABEL = "lossjax"
AUTO = "auto"  # the part of a grid, as the scheduler says
# Flags that only some engines take: what each must be, and as a pattern.
OPTIONS: Mapping[str, tuple[str, str]] = types.MappingProxyType(
    {
        "zone": ("a zone of Google's, us-east5-b", r"[a-z]+-[a-z]+\d+-[a-z]"),
        "account": ("an account of Slurm's accounting", r"[A-Za-z0-9_.-]{1,64}"),
        "partition": ("partitions that sinfo lists", r"[A-Za-z0-9_.,-]{1,200}"),
        "cpus": ("a number of CPUs for each task", r"[1-9]\d{0,3}"),
        "infra": ("k8s, gcp, aws/us-east-1, ...", r"[a-z0-9]+(/[A-Za-z0-9_.*-]+)*"),
        "volume": (
            "a volume claim, mounted at --out",
            r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        ),
        "image": ("the image that the Dockerfile makes", r"[\w][\w./:@-]{0,250}"),
    }
)


@dataclass(frozen=True)
class Request:
    """One launch. `arguments` are the --config flags, as `sweep` takes them.

    `prepare` are datasets that the machine has to prepare; `options` are those of
    OPTIONS that were given.
    """

    name: str
    engine: str
    accelerator: str
    spot: bool
    shards: int
    out: str
    arguments: tuple[str, ...]
    hours: int
    options: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Carried by all that is created, and by nothing else."""
        return f"{LABEL}-{self.name}"

    def job(self, index: int) -> str:
        return f"{self.label}-{index}"

    def command(self, shard: str) -> list[str]:
        """The one idempotent command that an engine runs."""
        words = ["./run.sh", "sweep", *self.arguments]
        return [*words, f"--shard={shard}", f"--out={self.out}"]

    def script(self) -> str:
        """The same, quoted for a shell script, its part as the scheduler says."""
        return shlex.join(self.command(AUTO))

    def limited(self) -> str:
        """`script`, stopped after --hours, with a code after which no engine goes on.

        Its state is saved, for whoever launches it again.
        """
        return f"timeout --kill-after=5m {self.hours}h {self.script()}"

    def preparation(self) -> str:
        """Lines of a shell script that make its data ready."""
        words = (["./run.sh", "data", "prepare", name] for name in self.prepare)
        return "".join(f"{shlex.join(command)}\n" for command in words)


def check_name(name: str) -> str:
    """The name, or UserError."""
    if not re.fullmatch(_NAME, name):
        raise UserError(
            f"--name={name}: must be at most 40 of a-z, 0-9 and -, a letter first, "
            f"no - at the end; engines allow no other labels"
        )
    return name


def check(request: Request, *, shares: bool) -> None:
    """UserError where a field is bad; needs neither engine nor store.

    `shares`: whether the engine's machines have the folders of this one.
    """
    check_name(request.name)
    accelerators.check(request.engine, request.accelerator)
    if not 1 <= request.shards <= 1000:
        raise UserError(f"--shards={request.shards}: must be from 1 to 1000")
    if not 1 <= request.hours <= 168:
        raise UserError(f"--hours={request.hours}: must be from 1 to 168")
    if request.engine == "gcloud":
        if request.shards != 1:
            raise UserError(
                f"--shards={request.shards}: gcloud starts one VM; --engine=sky runs "
                f"one job a shard"
            )
        _check_zone(request)
    for name, value in request.options.items():
        words, pattern = OPTIONS[name]
        if not re.fullmatch(pattern, value):
            raise UserError(f"--{name}={value}: must be {words}")
    remote = "://" in request.out
    kept = shares or "volume" in request.options
    if not remote and not kept:
        raise UserError(
            f"--out={request.out}: ends with the machine; --out=gs://BUCKET/PREFIX or "
            f"s3://BUCKET/PREFIX keeps the results"
        )
    if not remote and not Path(request.out).is_absolute():
        raise UserError(
            f"--out={request.out}: must be an absolute path of a folder that every "
            f"machine shares, or gs:// or s3://"
        )
    places.check_text(request.out)


def check_label(request: Request) -> None:
    """UserError where what was launched cannot be found by these fields."""
    check_name(request.name)
    if request.engine == "gcloud":
        _check_zone(request)


def _check_zone(request: Request) -> None:
    zone = request.options.get("zone", "")
    if not re.fullmatch(OPTIONS["zone"][1], zone):
        raise UserError(f"--zone={zone}: gcloud needs a zone, for example us-east5-b")


def config_arguments(arguments: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """(--config flags for the sweep, all others); the file must be in the project.

    The engine gets the project's folder and nothing beside it.
    """
    ours: list[str] = []
    others: list[str] = []
    follows = False
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        is_config = name == "config" or name.startswith("config.")
        if follows:
            ours[-1] += f"={argument}"
        elif is_config and argument.startswith("-"):
            ours.append("--" + argument.lstrip("-"))
        else:
            others.append(argument)
        follows = is_config and not follows and "=" not in argument
    for place, argument in enumerate(ours):
        if argument.startswith("--config="):
            path, colon, extra = argument.removeprefix("--config=").partition(":")
            root, file = shipped.clone("launch"), shipped.config(path).resolve()
            if not file.is_relative_to(root):
                raise UserError(
                    f"--config={path}: lies outside {root}, which is what is sent"
                )
            relative = file.relative_to(root)
            ours[place] = f"--config={relative}{colon}{extra}"
    return tuple(ours), others
