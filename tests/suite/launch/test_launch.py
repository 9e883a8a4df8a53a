"""Launching through engines that answer as the real ones do, well or badly."""

import ast
import copy
import dataclasses
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import accelerators, actions, commands, compilers
from lossjax.suite.launch import check as check_of_tpu
from lossjax.suite.launch.__main__ import main
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.launch.engines import ENGINES
from lossjax.suite.launch.request import Request, check, config_arguments
from lossjax.suite.shipped import ROOT

NAMES = {
    "sky": "tpu-v6e-8",
    "gcloud": "ct6e-standard-8t",
    "k8s": "nvidia.com/gpu:1",
    "slurm": "gpu:a100:1",
    "ray": "CPU:1",
}
OPTIONS_OF = {
    "gcloud": {"zone": "us-east5-b"},
    "k8s": {"image": "registry/lossjax:1"},
    "slurm": {"account": "physics", "partition": "gpu,long", "cpus": "8"},
}
HOSTILE = '--config.losses=bce\'; touch /tmp/owned; echo $(id) `id` "${HOME}" \n& #'


def request(engine: str = "sky", **fields: object) -> Request:
    values: dict[str, object] = {
        "name": "digits",
        "engine": engine,
        "accelerator": NAMES[engine],
        "spot": True,
        "shards": 1 if engine == "gcloud" else 3,
        "out": "s3://bucket/x",
        "arguments": ("--config=configs/digits.py",),
        "hours": 6,
        "options": OPTIONS_OF.get(engine, {}),
    }
    return Request(**values | fields)  # type: ignore[arg-type]


every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
def test_dry_run_shows_files_commands_cost_and_clean_up(
    engine: str, capsys, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(actions, "_with_data", lambda request: request)
    folder = tmp_path / "files"
    monkeypatch.setattr(actions, "_folder", lambda request: folder)
    # Nor does it need the client of the store.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check(request(engine), shares=ENGINES[engine].shares)
    assert actions.dry_run(request(engine)) == 0
    shown = capsys.readouterr().out
    for word in ("--- commands", "cost: ", "launch clean", "launch fetch", "./run.sh"):
        assert word in shown, word
    assert shown.rstrip().endswith("nothing was submitted")
    if engine == "sky":
        assert "not validated: " in shown and "pip install" in shown
        assert "8.64" not in shown and "12.96 to 32.40 dollars" in shown
    assert not folder.exists()


@every_engine
def test_a_hostile_value_stays_one_argument(engine: str, tmp_path: Path) -> None:
    """What a shell makes of the rendered script is the very argument list."""
    asked = request(engine, arguments=(HOSTILE,), out="s3://bucket/a b;$(id)'")
    plan = ENGINES[engine].render(asked, tmp_path)
    expected = ["sweep", HOSTILE, "--shard=auto", "--out=s3://bucket/a b;$(id)'"]
    if engine == "ray":
        facts = json.loads(plan.files["runtime.json"])["env_vars"]["LOSSJAX_LAUNCH"]
        words = json.loads(facts)["command"]
        *_, verb, hostile, shard, out = words
        assert [verb, hostile, out] == [expected[0], expected[1], expected[3]]
        assert shard.startswith("--shard=")
        assert not any(HOSTILE in word for word in plan.commands[0])
        return
    text = next(iter(plan.files.values()))
    if engine == "sky":
        text = yaml.safe_load(text)["run"]
    if engine == "k8s":
        pod = yaml.safe_load(text)["spec"]["template"]["spec"]
        text = pod["containers"][0]["command"][2]
    line = text[text.index("./run.sh sweep") :]
    line = line[: line.index(end := shlex.quote(expected[-1])) + len(end)]
    shown = subprocess.run(
        ["bash", "-c", "printf '%s\\0' " + line],
        capture_output=True,
        text=True,
        env={"LOSSJAX_SHARD": "1/3", "HOME": "/nowhere"},
    )
    assert shown.stdout.split("\0")[1:-1] == expected
    for command in plan.commands:
        assert not any(HOSTILE in word for word in command)


def test_sky_recovers_what_was_preempted(tmp_path: Path) -> None:
    plan = ENGINES["sky"].render(request(), tmp_path)
    task = yaml.safe_load(plan.files["task.yaml"])
    recovery = task["resources"]["job_recovery"]
    # A bad flag (2) is as bad on a fresh machine.
    assert recovery == {
        "strategy": "EAGER_NEXT_REGION",
        "recover_on_exit_codes": [75],
    }
    assert "exec timeout --kill-after=5m 6h ./run.sh sweep" in task["run"]
    assert task["resources"]["use_spot"] is True
    assert [c[c.index("--env") + 1] for c in plan.commands] == [
        f"LOSSJAX_SHARD={index}/3" for index in range(3)
    ]
    assert "--python 3.12" in task["setup"]


def test_gcloud_makes_a_machine_that_ends_by_itself(tmp_path: Path) -> None:
    plan = ENGINES["gcloud"].render(request("gcloud", prepare=("mnist",)), tmp_path)
    script = plan.files["start.sh"]
    ended = subprocess.run(["bash", "-n"], input=script, text=True)
    assert ended.returncode == 0, "not a script"
    assert script.startswith("trap 'sudo shutdown -h now' EXIT\n")
    assert "./run.sh data prepare mnist\ncode=75\nwhile" in script
    _, create, wait, copy, start = plan.commands
    assert "instances" in create and "--labels=lossjax=digits" in create
    assert "--max-run-duration=6h" in create
    assert "--scopes=storage-rw,compute-rw" in create, "and nothing else of the account"
    assert "ssh" in wait and "scp" in copy and "ssh" in start


def test_gcloud_waits_until_a_machine_answers(tmp_path: Path) -> None:
    """Its loop, with a gcloud that refuses at first, and a sleep that does not."""
    wait = ENGINES["gcloud"].render(request("gcloud"), tmp_path).commands[2]
    for name, body in {
        "gcloud": 'echo >> "$STATE/tries"; [ $(wc -l < "$STATE/tries") -ge 3 ]',
        "sleep": ":",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "STATE": str(tmp_path)}
    assert subprocess.run(wait, env=variables).returncode == 0
    assert len((tmp_path / "tries").read_text().splitlines()) == 3


def test_gcloud_sends_only_what_is_committed(fake) -> None:
    fake("gcloud", CLOUD % "")
    fake("git", 'echo " M configs/digits.py"')
    with pytest.raises(UserError, match="M configs/digits.py is not committed"):
        actions.submit(request("gcloud"))


@pytest.mark.parametrize("volume", [None, "results"])
def test_k8s_runs_a_pod_a_shard_and_none_again_in_vain(
    tmp_path: Path, volume: str | None
) -> None:
    options = OPTIONS_OF["k8s"] | ({"volume": volume} if volume else {})
    out = "/results" if volume else "s3://bucket/x"
    asked = request("k8s", options=options, out=out, prepare=("mnist", "cifar10"))
    check(asked, shares=False)
    job = yaml.safe_load(ENGINES["k8s"].render(asked, tmp_path).files["job.yaml"])
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == (
        *("Indexed", 3),
        3,
    )
    assert spec["activeDeadlineSeconds"] == 6 * 3600
    drained, failed = spec["podFailurePolicy"]["rules"]
    assert drained["action"] == "Ignore"
    assert failed == {
        "action": "FailIndex",
        "onExitCodes": {"operator": "NotIn", "values": [0, 75]},
    }
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "LOSSJAX_SHARDS", "value": "3"} in container["env"]
    script = container["command"][2].splitlines()
    assert script[1:3] == [f"./run.sh data prepare {n}" for n in ("mnist", "cifar10")]
    claims = [one for one in pod["volumes"] if "persistentVolumeClaim" in one]
    mounts = [one["mountPath"] for one in container["volumeMounts"]]
    assert (len(claims), "/results" in mounts) == ((1, True) if volume else (0, False))


def test_slurm_is_asked_for_what_was_named(tmp_path: Path) -> None:
    (submit,) = ENGINES["slurm"].render(request("slurm"), tmp_path).commands
    for word in ("account=physics", "partition=gpu,long", "cpus-per-task=8"):
        assert f"--{word}" in submit


def test_a_ray_job_has_an_id_of_its_own_and_is_stopped(fake, tmp_path: Path) -> None:
    ids = {
        ENGINES["ray"].render(request("ray"), tmp_path).commands[0][5] for _ in range(3)
    }
    assert len(ids) == 3
    # What it starts needs the cluster's Python and ray, and nothing of ours.
    started = ROOT / ENGINES["ray"].render(request("ray"), tmp_path).commands[0][-1]
    tree = ast.parse((started / "__main__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name for node in imports for alias in node.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= {"ray", *sys.stdlib_module_names}
    assert [file.name for file in started.glob("*.py")] == ["__main__.py"]
    jobs = {"lossjax-digits-0123abcd": "RUNNING", "lossjax-digits-00000000": "FAILED"}
    jobs |= {"lossjax-digits2-0123abcd": "RUNNING", "other": "RUNNING"}
    listed = ", ".join(
        f"JobDetails(type=<JobType.SUBMISSION: 'SUBMISSION'>, submission_id='{name}', "
        f"driver_info=None, status=<JobStatus.{status}: '{status}'>)"
        for name, status in jobs.items()
    )
    calls = fake("ray", f'[ "$2" = list ] && echo {shlex.quote(listed)}; exit 0')
    ours = ["lossjax-digits-00000000", "lossjax-digits-0123abcd"]
    assert ENGINES["ray"].found(request("ray")) == ours
    assert ENGINES["ray"].gone(request("ray")) == ours[:1]
    assert actions.clean(request("ray"), dry=False) == 0
    said = calls.read_text().splitlines()
    for name in ours:
        place = said.index(f"job stop {name}")
        assert said[place + 1] == f"job delete {name}"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_ends_with_the_worker_that_started_it(
    tmp_path: Path, number: int
) -> None:
    """Whose children Ray kills, and not theirs."""
    facts = json.loads(
        ENGINES["ray"].render(request("ray"), tmp_path).files["runtime.json"]
    )
    words = json.loads(facts["env_vars"]["LOSSJAX_LAUNCH"])["command"]
    script = "trap 'echo saved; exit 75' TERM; echo began; while :; do sleep 0.02; done"
    guard = words[: words.index("./run.sh")]
    with subprocess.Popen(
        [*guard, "bash", "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        process.send_signal(number)
        assert process.stdout.read() == "saved\n"


def test_data_that_are_only_here_are_refused_and_others_prepared(monkeypatch) -> None:
    facts = {"blocks": 100, "local": [], "prepare": ["mnist"]}
    monkeypatch.setattr(actions, "child", lambda *a, **k: [facts])
    assert actions._with_data(request("sky")).prepare == ("mnist",)
    assert actions._with_data(request("slurm")).prepare == (), "its home is shared"
    facts["local"] = ["images:/home/me/pictures"]
    assert actions._with_data(request("slurm"))
    for engine in ("sky", "gcloud", "k8s"):
        with pytest.raises(UserError, match="images:/home/me/pictures is on this mach"):
            actions._with_data(request(engine))


def test_the_image_holds_the_project_and_its_environment() -> None:
    """No daemon builds it here: what it copies and starts is there."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    assert [one[0] for one in words].count("FROM") == 1
    for one in words:
        if one[0] == "COPY":
            assert all((ROOT / source).exists() for source in one[1:-1]), one
    assert words[-1] == ["ENTRYPOINT", '["./run.sh"]']
    (run,) = [line for line in lines if line.startswith("RUN bash -c")]
    code = run.partition("'")[2].rpartition("'")[0]
    told = "prepare_environment() { echo would prepare; }; prepare_environment"
    said = subprocess.run(
        ["bash", "-c", code.replace("prepare_environment", told)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert said.stdout == "would prepare\n", said.stderr
    assert {".git", ".venv*"} <= set((ROOT / ".dockerignore").read_text().split())


BAD = {
    ("--engine=skyy",): ["--engine", "did you mean 'sky'"],
    ("--accelerator=tpu-v6e-9",): ["did you mean 'tpu-v6e-8'", "tpu-v5p-8"],
    ("--accelerator=A100:x",): ["count"],
    ("--accelerator=tpu-v6e-8:2",): ["tpu-v6e-8"],
    ("--engine=gcloud", "--accelerator=tpu-v6e-8"): ["ct6e-standard-8t"],
    ("--engine=gcloud", "--accelerator=ct6e-standard-8t"): ["--zone=", "us-east5-b"],
    ("--engine=gcloud", "--accelerator=v6e-8"): ["ct6e-standard-8t"],
    ("--engine=k8s", "--accelerator=H100:1"): ["nvidia.com/gpu:COUNT"],
    ("--engine=slurm", "--accelerator=none", "--cpus=many"): ["--cpus=many: must be"],
    ("--partition=gpu",): ["--partition goes with --engine=slurm"],
    ("--volume=A", "--out=/results"): ["--volume=A: must be a volume claim"],
    ("--engine=slurm", "--accelerator=a100"): ["gpu:TYPE:COUNT"],
    ("--engine=ray", "--accelerator=CPUS:1"): ["did you mean 'CPU'"],
    ("--engine=ray", "--accelerator=tpu-v6e-8"): ["did you mean 'TPU-V6E'"],
    ("clean", "--engine=gcloud"): ["--zone=", "us-east5-b"],
    ("--engine=ray", "--accelerator=A100-80GB:1"): ["did you mean 'A100-80G'"],
    ("--accelerator=",): ["--accelerator is missing; of sky are tpu-v"],
    ("--engine=ray", "--accelerator="): ["--accelerator is missing; of ray are CPU, "],
    ("--engine=slurm", "--accelerator="): ["is missing; Slurm's names are gpu:COUNT"],
    ("--name=Digits",): ["--name=Digits", "a-z"],
    ("--name=a;b",): ["--name=a;b"],
    ("--shards=0",): ["--shards=0"],
    ("--hours=0",): ["--hours=0"],
    ("--out=results",): ["--out=results", "gs://"],
    ("--out=s4://b",): ["did you mean 's3://'"],
    ("--config=configs/nothing.py",): ["configs/digits.py"],
    ("--config.los=bce",): ["config field 'los'"],
    ("stauts",): ["did you mean 'status'"],
    ("--accelerato=x",): ["--accelerator"],
    ("--check", "--accelerator=A100"): ["--accelerator of --check", "h100"],
}


def test_a_dry_run_says_that_a_volume_is_not_here(capsys) -> None:
    given = ["--engine=k8s", "--accelerator=cpu:1", "--image=x/y:1", "--dry_run"]
    assert main([*given, "--volume=shelf", "--out=/results"]) == 0
    said = capsys.readouterr().out
    assert "/results is the volume shelf: fetch it where that is mounted\n" in said


@pytest.mark.parametrize("arguments", BAD, ids=str)
def test_bad_usage_is_one_line(arguments: tuple[str, ...]) -> None:
    given = {word.partition("=")[0] for word in arguments}
    rest = {"--accelerator": "tpu-v6e-8", "--out": "s3://bucket/x"}
    more = [f"{name}={value}" for name, value in rest.items() if name not in given]
    with pytest.raises(UserError) as refusal:
        main([*arguments, *more])
    for word in BAD[arguments]:
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_config_outside_the_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(UserError, match="what is sent"):
        config_arguments([f"--config={tmp_path / 'mine.py'}"])
    ours, others = config_arguments(["--config", "configs/digits.py", "status", "--x"])
    assert ours == ("--config=configs/digits.py",) and others == ["status", "--x"]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch):
    """Puts an engine's program on PATH: a shell script with a state folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(commands, "BACKOFF", 0.01)
    monkeypatch.setattr(actions, "_with_data", lambda request: request)
    monkeypatch.setattr(actions, "_folder", lambda request: tmp_path / "files")
    monkeypatch.setattr(actions.places, "check", lambda out, writing: None)
    monkeypatch.setattr(actions.ownership, "check", lambda out: None)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("STATE", str(tmp_path))

    def make(program: str, body: str) -> Path:
        path = folder / program
        path.write_text(f'#!/bin/bash\necho "$*" >> "$STATE/calls"\n{body}\n')
        path.chmod(0o755)
        return tmp_path / "calls"

    return make


# A cloud of one VM: list shows it, create makes it and then does what FAULT says.
CLOUD = """
case "$*" in
  *" list "*)
    [ -e "$STATE/vm" ] && echo '[{"name": "lossjax-digits-0"}]' || echo '[]' ;;
  *" create "*) %s ;;
  *" delete "*) rm "$STATE/vm" ;;
  *) ;;
esac
"""


@pytest.mark.parametrize(
    ("fault", "error", "words", "creates"),
    [
        ('touch "$STATE/vm"', None, "", 1),
        ("echo 'Quota TPUS_PER_PROJECT exceeded' >&2; exit 1", OSError, "no quota", 1),
        ("echo 'HTTP 429 rate limit' >&2; exit 1", OSError, "4 attempts", 4),
        (
            'touch "$STATE/vm"; echo "ZONE_RESOURCE_POOL_EXHAUSTED" >&2; exit 1',
            OSError,
            "no quota or capacity",
            1,
        ),
        ('touch "$STATE/vm"; sleep 30', OSError, "no answer in", 1),
        ("echo 'no active account; gcloud auth login' >&2; exit 1", UserError, "", 1),
    ],
    ids=["well", "quota", "429", "half", "hang", "credentials"],
)
def test_a_failing_cloud_leaves_nothing(
    fake, tmp_path: Path, monkeypatch, fault: str, error, words: str, creates: int
) -> None:
    calls = fake("gcloud", CLOUD % fault)
    fake("git", "")
    monkeypatch.setattr(commands, "TIMEOUT", 1.0)
    if error is None:
        assert actions.submit(request("gcloud")) == 0
        assert (tmp_path / "vm").exists()
        assert actions.submit(request("gcloud")) == 0, "launched twice"
    else:
        with pytest.raises(error) as failure:
            actions.submit(request("gcloud"))
        assert words in str(failure.value)
        assert not (tmp_path / "vm").exists(), "a machine was left behind"
    assert calls.read_text().count(" create ") == creates


@pytest.mark.parametrize(("state", "again"), [("TERMINATED", True), ("RUNNING", False)])
def test_a_vm_that_was_taken_away_is_made_again(
    fake, tmp_path: Path, capsys, state: str, again: bool
) -> None:
    vm = json.dumps([{"name": "lossjax-digits-0", "status": state}])
    create = f'[ -e "$STATE/vm" ] && exit 1; echo {shlex.quote(vm)} > "$STATE/vm"'
    calls = fake(
        "gcloud",
        'case "$*" in *" list "*) cat "$STATE/vm" ;;\n'
        f'*" create "*) {create} ;;\n*" delete "*) rm "$STATE/vm" ;; esac',
    )
    fake("git", "")
    (tmp_path / "vm").write_text(vm)
    assert actions.submit(request("gcloud")) == 0
    shown = capsys.readouterr().out
    assert ("deleted, to be made again" in shown) is again
    assert ("already there" in shown) is not again
    called = calls.read_text()
    assert called.count(" create ") == called.count(" delete ") == int(again)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("HTTPError 403: Required permission is missing", UserError),
        ("ResponseError: code=401, message=Unauthorized", UserError),
        ("403 Client Error: Forbidden for url", UserError),
        ("your credentials are not valid", UserError),
        (
            "Failed to find attribute [project]; set the property `core/project`",
            UserError,
        ),
        ("image sha 403fa1 not built", EngineFailed),
        ("wrote 401 files, then job lossjax-403 crashed", EngineFailed),
        ("credentials ok; node crashed", EngineFailed),
        ("HTTP 403: rate limit exceeded", EngineFailed),
    ],
)
def test_only_a_refusal_is_called_one(fake, said: str, error: type[Exception]) -> None:
    fake("sky", f"echo {shlex.quote(said)} >&2; exit 1")
    with pytest.raises(error):
        commands.run(("sky",))


def test_status_and_clean_touch_only_the_label(fake, tmp_path: Path, capsys) -> None:
    calls = fake("gcloud", CLOUD % "")
    (tmp_path / "vm").touch()
    assert actions.status(request("gcloud")) == 0
    assert actions.clean(request("gcloud"), dry=True) == 0
    assert (tmp_path / "vm").exists()
    assert actions.clean(request("gcloud"), dry=False) == 0
    assert not (tmp_path / "vm").exists()
    lines = [line for line in calls.read_text().splitlines() if " list " in line]
    assert lines and all("labels.lossjax=digits" in line for line in lines)
    assert "1 deleted" in capsys.readouterr().out


QUEUE = [
    {"job_name": "lossjax-digits-1", "status": "RUNNING"},
    {"job_name": "lossjax-digits-2", "status": "PREEMPTED"},
    {"job_name": "somebody-else", "status": "RUNNING"},
]


def test_sky_launches_only_the_shards_that_are_not_there(fake, monkeypatch) -> None:
    queue = shlex.quote(json.dumps(QUEUE))
    calls = fake("sky", f'case "$*" in "jobs queue"*) echo {queue} ;; esac')
    row = dataclasses.replace(actions.ENGINES["sky"], validate=lambda text: "")
    monkeypatch.setattr(actions, "ENGINES", {"sky": row})
    assert actions.submit(request("sky")) == 0
    launched = [line for line in calls.read_text().splitlines() if "launch" in line]
    assert ["digits-0" in launched[0], "digits-2" in launched[1]] == [True, True]
    assert len(launched) == 2


def test_sky_without_an_account_is_given_no_job(fake) -> None:
    calls = fake("sky", 'echo "  GCP: disabled [compute, storage]"')
    with pytest.raises(UserError, match="application-default login"):
        actions.submit(request("sky"))
    assert calls.read_text().splitlines() == ["check gcp"]


@every_engine
def test_an_engine_that_is_not_installed_is_named(
    engine: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for act in (actions.submit, actions.status):
        with pytest.raises(UserError, match="is not installed: "):
            act(request(engine))
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_engine_is_tried_a_few_times(fake) -> None:
    calls = fake("squeue", "echo 'temporarily unavailable' >&2; exit 1")
    with pytest.raises(EngineFailed, match="4 attempts"):
        commands.run(("squeue",))
    assert len(calls.read_text().splitlines()) == 4


def test_prices_say_where_they_come_from() -> None:
    assert "estimate; SkyPilot's catalog" in accelerators.cost("tpu-v6e-8", False, 1)
    assert "unknown" in accelerators.cost("tpu7x-standard-4t", False, 1)


SAID = [
    {
        "programs": 1,
        "devices": 1,
        "limit": int(0.8 * 32 * 2**30),
        "layout": {"devices": 1, "replicas": 2, "mapping": "vmap"},
        "plan": "a program trains up to 2 runs, side by side",
        "versions": {"jax": "0.10.2"},
    },
    {
        "program": ["digits", "conv_ae", "bce"],
        "slots": 63,
        "memory": 2**30,
        "step": {"fusion": 50, "custom-call": 9},
        "flops": 1e9,
        "bytes": 1e6,
        "collectives": [],
        "seconds": 12.3,
    },
    {"runs": 20, "chunks": 2, "steps": 200},
]
SMALL = accelerators.tpu("tpu-v6e-1")
assert SMALL is not None


def test_check_says_what_fits_and_where_its_figures_come_from() -> None:
    first, plan, program, estimate = check_of_tpu.lines("tpu-v6e-1", SMALL, SAID)
    assert first == "tpu-v6e-1: 1 device of 32 GiB (v6e:1x1), 1 program to compile"
    assert plan == SAID[0]["plan"]
    assert program.startswith("1/1 digits / conv_ae / bce: 63 runs a device; 1024.0 ")
    assert "MiB, 3.12% of its memory; 1 Gflop" in program
    assert "1 Gflop and 1 MB a step; no collective; compiled in 12 s" in program
    assert estimate.startswith("estimate, nothing measured: ")
    assert "Google's pages" in estimate
    h100 = accelerators.gpu("H100:8")
    assert h100 is not None and h100.gib == 79
    *_, program, estimate = check_of_tpu.lines("h100", h100, copy.deepcopy(SAID))
    assert "1.27% of its memory; 59 launches, 1 Gflop" in program
    assert "OpenXLA's" in estimate


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"memory": 26 * 2**30}, UserError, "does not fit 25.6 of 32 GiB: 26.0 GiB"),
        ({"failed": "RESOURCE_EXHAUSTED"}, UserError, "of 32 GiB: RESOURCE_EXHAUSTED"),
        ({"collectives": ["all-reduce"]}, EngineFailed, "all-reduce"),
    ],
    ids=["memory", "compiler", "collective"],
)
def test_check_refuses_what_does_not_fit(
    change: dict, error: type[Exception], words: str, monkeypatch, capsys, tmp_path
) -> None:
    said = [SAID[0], SAID[1] | change, SAID[2]]
    monkeypatch.setattr(check_of_tpu, "child", lambda *a, **k: said)
    monkeypatch.setattr(compilers.Compiler, "folder", lambda self: tmp_path)
    proofs = tmp_path / "proofs.json"
    with pytest.raises(error) as failure:
        main(["--check", "--accelerator=tpu-v6e-1", f"--to={proofs}"])
    assert words in str(failure.value) and "\n" not in str(failure.value)
    assert "compiled in" not in capsys.readouterr().out
    assert not proofs.exists()


def test_check_keeps_what_the_compiler_said(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check_of_tpu, "child", lambda *a, **k: copy.deepcopy(SAID))
    (tmp_path / "libtpu-0.0.42.dist-info").mkdir()
    monkeypatch.setattr(compilers.Compiler, "folder", lambda self: tmp_path)
    proofs = tmp_path / "proofs.json"
    for name in ("tpu-v6e-1", "tpu-v6e-4"):
        assert main(["--check", f"--accelerator={name}", f"--to={proofs}"]) == 0
    kept = json.loads(proofs.read_text())["digits"]
    assert set(kept) == {"tpu-v6e-1", "tpu-v6e-4"}
    assert kept["tpu-v6e-1"]["programs"] == SAID[1:2]
    assert kept["tpu-v6e-1"]["limit"] == SAID[0]["limit"]
    assert kept["tpu-v6e-1"]["versions"] == {"jax": "0.10.2", "libtpu": "0.0.42"}
    with pytest.raises(UserError, match="must be a local file"):
        main(["--check", "--accelerator=tpu-v6e-1", f"--to={tmp_path}"])
    proofs.write_text("nonsense")
    with pytest.raises(UserError, match="cannot be read"):
        main(["--check", "--accelerator=tpu-v6e-1", f"--to={proofs}"])


@pytest.mark.slow
def test_a_child_is_heard_while_it_runs() -> None:
    said = actions.child("lossjax.suite.sweep.ahead_of_time", ["none", "0"])
    assert list(said) == [{"blocks": 100, "local": [], "prepare": []}]
    with pytest.raises(UserError, match="unknown config field 'bogus'"):
        list(
            actions.child(
                "lossjax.suite.sweep.ahead_of_time", ["none", "0", "--config.bogus=1"]
            )
        )


UNTRIED = [
    ("sky", "tpu-v6e-8", "no such job has ever run"),
    ("gcloud", "ct6e-standard-8t", "ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e"),
    ("gcloud", "tpu7x-standard-4t", "ubuntu-accel-2404-amd64-tpu-tpu7x"),
    ("k8s", "nvidia.com/gpu:1", "no cluster has run it"),
    ("slurm", "gpu:1", "no Slurm has run them"),
    ("ray", "TPU-V6E:8", "only CPU nodes ran"),
]


@pytest.mark.parametrize(("engine", "accelerator", "words"), UNTRIED)
def test_what_nobody_tried_is_called_unverified(
    engine: str, accelerator: str, words: str, capsys, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(actions, "_with_data", lambda request: request)
    asked = request(engine, accelerator=accelerator)
    check(asked, shares=ENGINES[engine].shares)
    assert actions.dry_run(asked) == 0
    shown = capsys.readouterr().out
    assert "\nunverified: " in shown and words in shown


def test_every_tpu_has_what_its_path_needs() -> None:
    for row in accelerators.TPUS:
        assert row.generation.image or not row.machine, row


@pytest.mark.parametrize("compiler", [compilers.LIBTPU, compilers.CUDA])
def test_a_compiler_comes_from_its_lock(compiler: compilers.Compiler) -> None:
    text = (ROOT / f"requirements/{compiler.lock}.lock").read_text()
    pins = compiler.pinned(text).splitlines()
    heads = [line for line in pins if not line.startswith("    --hash=sha256:")]
    assert {line.partition("==")[0] for line in heads} == set(compiler.packages)
    assert len(pins) >= 2 * len(heads)


def test_a_compiler_is_installed_once_into_a_folder_of_its_own(
    monkeypatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compilers, "_folder_with", lambda module: None)
    asked: list[str] = []

    def install(self: compilers.Compiler, lock: str, folder: Path) -> None:
        asked.append(lock)
        file = folder / "made" / self.file
        file.parent.mkdir(parents=True)
        file.touch()

    monkeypatch.setattr(compilers.Compiler, "_install", install)
    folder = compilers.CUDA.folder()
    assert compilers.CUDA.folder() == folder and folder.parent == tmp_path / "lossjax"
    assert len(asked) == 1 and "nvidia-cuda-nvcc-cu12==" in asked[0]
    assert "installing cuda-compiler" in capsys.readouterr().err
    folder.chmod(0o777)
    with pytest.raises(UserError, match="cuda-compiler is not loaded: "):
        compilers.CUDA.folder()
