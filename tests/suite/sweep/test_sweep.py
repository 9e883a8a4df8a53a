"""The verb `sweep`, as a user types it."""

import csv
import dataclasses
import hashlib
import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typed_commands import SMALL, environment, python

from lossjax import NUMERICS
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.shipped import ROOT
from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as program
from lossjax.suite.sweep import output
from lossjax.suite.sweep.worker import Worker


def sweep(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "lossjax.suite.cli", "sweep", *arguments, **more)


def tables(out: Path) -> dict[str, str]:
    """Name -> sha256 of every table of a report."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((out / "report" / "tables").iterdir())
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A small sweep, finished."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    ended = sweep(*SMALL, f"--out={out}")
    assert ended.returncode == 0, ended.stderr + ended.stdout
    first, *_, last = ended.stdout.strip().splitlines()
    assert first.startswith("cpu: ")
    assert last == f"report: {out / 'report' / 'index.html'}"
    assert "a program trains up to " in ended.stdout
    assert "digits / mlp_ae / bce: learning rate" in ended.stdout
    assert "mse on test images" in ended.stdout
    assert "too few seeds: with 3 of them" in ended.stdout
    plan = "18 runs: 2 losses x 3 learning rates x 3 seeds\n"
    assert plan in ended.stdout and plan in (out / "sweep.log").read_text()
    return out


def test_what_a_sweep_leaves(done: Path) -> None:
    results = store.load(done)
    assert results.damaged == {}
    described = store.read_sweep(done)
    assert described["losses"] == ["bce", "mse"]
    assert len(results.results) == 2 * 3 * 3
    for result in results.results.values():
        assert result.status == "ok"
        for metric in described["metrics"]:
            assert 0 <= abs(result.metrics[f"test_{metric}"]) < 100, metric
        for name in described["diagnostics"]:
            value = result.metrics[f"diag_{name}"]
            assert 0 <= value < 1e4 or name == "steps_to_quarter", name
        assert result.gallery is not None and result.gallery.shape == (8, 8, 8, 1)
        assert result.curve["step"] == [3.0, 6.0]
        assert result.provenance["numerics"] == NUMERICS
        assert result.provenance["layout"]["mapping"] == "map"
        assert result.provenance["sharing"] == ["bce", "mse"]
        assert result.provenance["steps_per_call"] >= 1
    summary = json.loads((done / "report" / "summary.json").read_text())
    assert summary["schema"] == 2
    with open(done / "report" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    chosen = [row for row in rows if row["chosen"] == "True"]
    assert {(row["loss"], row["seed"]) for row in chosen} == {
        (loss, seed) for loss in ("bce", "mse") for seed in "012"
    }
    assert len(chosen) == 6
    assert all((row["test_mse"] != "") == (row in chosen) for row in rows)


def test_again_trains_nothing(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {f: f.stat().st_mtime_ns for f in done.glob("runs/*/result.json")}
    held = tables(done)
    assert not program.main([*SMALL, f"--out={done}", "--quiet"])
    # Quiet: the comparison comes first; what led to it stands in the log alone.
    printed = capsys.readouterr().out
    assert printed.startswith("digits / mlp_ae: mse on test images")
    assert "are stored; nothing to train" in (done / "sweep.log").read_text()
    assert {f: f.stat().st_mtime_ns for f in done.glob("runs/*/result.json")} == before
    assert tables(done) == held


def test_a_changed_config_trains_what_is_new_and_never_reuses(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for field, said in (
        (
            "train_steps=7",
            "18 runs: 2 losses x 3 learning rates x 3 seeds; 18 to train",
        ),
        ("seeds=0,1,2,3", "24 runs: 2 losses x 3 learning rates x 4 seeds; 6 to train"),
    ):
        assert not program.main(
            [*SMALL, f"--config.{field}", "--dry_run", f"--out={done}"]
        )
        assert said in capsys.readouterr().out


@pytest.mark.slow
def test_an_axis_of_budgets_adds_to_what_is_stored(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    axes = ("--config.budgets=3,6", "--config.latent_dims=2,3")
    assert not program.main([*SMALL, *axes, "--dry_run", f"--out={out}"])
    said = capsys.readouterr().out
    assert "72 runs: 2 latent sizes x 2 budgets x 2 losses x 3 learning rates" in said
    assert "; 54 to train" in said
    assert not program.main([*SMALL, axes[0], f"--out={out}"])
    assert "18 runs are stored and kept" in capsys.readouterr().out
    models = json.loads((out / "report" / "summary.json").read_text())["datasets"]
    assert set(models["digits"]["models"]) == {
        f"mlp_ae[train_steps={n}]" for n in (3, 6)
    }


@pytest.mark.slow
def test_runs_of_other_code_are_named_and_trained_anew_when_asked(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    for path in sorted(out.glob("runs/*/result.json"))[:4]:
        result = store.Result.from_json(json.loads(path.read_text())["payload"])
        other = dict(result.provenance) | {"source": "other"}
        store.write_result(out, dataclasses.replace(result, provenance=other))
    assert not program.main([*SMALL, f"--out={out}"])
    kept = capsys.readouterr().out
    assert "4 stored runs kept although other code computed" in kept
    assert "nothing to train" in kept
    assert not program.main([*SMALL, "--retrain", f"--out={out}"])
    anew = capsys.readouterr().out
    assert "4 stored runs of other computing code: trained anew" in anew
    sources = {r.provenance["source"] for r in store.load(out).results.values()}
    assert "other" not in sources
    assert tables(out) == tables(done)


def test_another_question_goes_to_another_folder() -> None:
    asked = ("--config.losses=bce,mse", "--config.seeds=0,1")
    plain, changed = (
        output.default("nothing_here", Sweep(**fields), arguments)
        for fields, arguments in (({}, ()), ({"losses": ("bce", "mse")}, asked))
    )
    assert plain.name == "nothing_here"
    assert re.fullmatch(
        r"nothing_here-losses=bce,mse-seeds=0,1-[0-9a-f]{8}", changed.name
    )


def test_a_store_of_the_protocol_before_is_refused_in_one_line(
    done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    path = out / "sweep.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1'))
    for verb, words in (("sweep", SMALL), ("report", ()), ("verify", ())):
        main = importlib.import_module(f"lossjax.suite.{verb}.__main__").main
        with pytest.raises(UserError, match="schema 1, this version reads 2"):
            main([*words, f"--out={out}"])


def test_dry_run_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not program.main([*SMALL, "--dry_run", f"--out={tmp_path / 'out'}"])
    said = capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert "digits / mlp_ae / bce: 9 runs, 9 to train" in said
    assert "too few seeds: with 3 of them" in said
    assert "nothing was trained" in said


@pytest.mark.slow
def test_tasks_one_of_them_killed_equal_the_whole(done: Path, tmp_path: Path) -> None:
    """Two processes of one command, as srun starts them; the grid has six blocks."""
    command = ["-m", "lossjax.suite.cli", "sweep", *SMALL, "--shard=auto"]
    command += [f"--out={tmp_path}"]
    tasks = [
        {"SLURM_PROCID": str(index), "SLURM_STEP_NUM_TASKS": "2"} for index in range(2)
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(**task),
        )
        for task in tasks
    ]
    heard = processes[1].stdout
    assert heard is not None and any("a program trains" in line for line in heard)
    processes[1].kill()
    for index, process in enumerate(processes):
        said, _ = process.communicate(timeout=300)
        assert process.returncode == (-signal.SIGKILL if index == 1 else 0), said
        if index != 1:
            assert f"part {index}/2 of the grid" in said
            assert "missing" in said, "no verdict on a part"
    assert len(store.load(tmp_path).results) == 9, "but for its blocks"
    ended = python(*command, **tasks[1])
    assert ended.returncode == 0, ended.stderr
    assert tables(tmp_path) == tables(done)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_says_how_to_go_on_and_loses_nothing(
    tmp_path: Path, done: Path, number: signal.Signals
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # we may run under nohup
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lossjax.suite.cli",
            "sweep",
            *SMALL,
            f"--out={tmp_path}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    signal.signal(signal.SIGHUP, before)
    while not list(tmp_path.glob("runs/*/result.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    began = time.monotonic()
    out, error = process.communicate(timeout=60)
    assert process.returncode == 75, (out, error)
    assert time.monotonic() - began < 30
    line = error.strip().splitlines()[-1]
    assert "to go on: ./run.sh sweep" in line and str(tmp_path) in line
    kept = {f: f.stat().st_mtime_ns for f in tmp_path.glob("runs/*/result.json")}
    assert not program.main([*SMALL, f"--out={tmp_path}"])
    for file, stamp in kept.items():
        assert file.stat().st_mtime_ns == stamp, "a finished run was trained twice"
    assert tables(tmp_path) == tables(done)


@pytest.mark.slow
def test_a_damaged_result_is_trained_again(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    victim = sorted(out.glob("runs/*/result.json"))[3]
    victim.write_text(victim.read_text().replace("0", "1", 5))
    assert not program.main([*SMALL, f"--out={out}"])
    said = capsys.readouterr().out
    assert "runs are stored and kept" in said
    assert f"damaged, not used: {victim.relative_to(out)}: " in said
    assert store.load(out).damaged == {}
    assert tables(out) == tables(done)


@pytest.mark.slow
def test_a_run_that_fails_is_a_row_and_the_others_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be computed, here for want of memory, fails its own runs only."""
    whole = Worker.train

    def train(self: Worker, runs: Sequence[store.Run], tick: Any) -> Iterator[Any]:
        if any(run.loss == "mse" for run in runs):
            raise RuntimeError("RESOURCE_EXHAUSTED: 9 GB")
        return whole(self, runs, tick)

    monkeypatch.setattr(Worker, "train", train)
    assert program.main([*SMALL, f"--out={tmp_path}"]) == 1
    assert "failed: RuntimeError: RESOURCE_EXHAUSTED" in capsys.readouterr().out
    statuses = {(r.run.loss, r.status) for r in store.load(tmp_path).results.values()}
    assert statuses == {("bce", "ok"), ("mse", "failed")}


def test_a_directory_that_vanishes_before_the_report_is_no_wrong_input(
    done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    code = (
        "import sys\n"
        "from lossjax.suite.cli.__main__ import main\n"
        "from lossjax.suite.sweep import grid\n"
        "def train(*grid, **how):\n"
        "    grid[3].rename(grid[3].with_name('away'))\n"
        "    return 0\n"
        "grid.train = train\n"
        "main()\n"
    )
    ended = python("-c", code, "sweep", *SMALL, f"--out={out}")
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr == (
        f"lossjax: --out={out}: has vanished since its runs were stored\n"
    )
    assert not out.exists()


BAD = {
    "--config.losses=bce,hubber": ["unknown loss 'hubber'", "huber"],
    "--config.losses=huber(delta=-1)": ["huber", "delta=-1", "between"],
    "--config.losses=huber(delta=__import__('os'))": ["huber", "delta"],
    "--config.losses=huber(delta=0.1),huber": ["'huber'", "twice"],
    "--config.datasets=digts": ["digts", "digits"],
    "--config.datasets=idx:/nowhere/at/all": ["/nowhere/at/all"],
    "--config.models=conv": ["model", "'conv'", "conv_ae"],
    "--config.primary_metric=sim": ["primary_metric", "'sim'", "ssim"],
    "--config.los=bce": ["config field 'los'", "losses"],
    "--config=configs/nothing.py": ["config file", "configs/digits.py"],
    "--config.learning_rates=0": ["learning_rates = 0"],
    "--config.learning_rates=fast": ["learning_rates = 'fast'"],
    "--config.seeds=()": ["config.seeds", "not be empty"],
    "--config.tuning_seeds=0": ["config field 'tuning_seeds'"],
    "--config.batch_size=2000": ["config.batch_size = 2000", "1197"],
    "--shard=3/3": ["--shard=3/3", "0/3"],
    "--platform=gpx": ["--platform", "gpu"],
    "--outt=x": ["--outt", "--out"],
    "stray": ["stray argument 'stray'"],
}


@pytest.mark.parametrize("argument", BAD, ids=str)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, argument: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError) as refusal:
        program.main([argument, f"--out={out}"])
    for word in BAD[argument]:
        assert word in str(refusal.value)
    assert not out.exists()


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1")
    ended = sweep(f"--config={tmp_path / 'empty.py'}", f"--out={tmp_path / 'out'}")
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("lossjax: ") and ended.stdout == ""
    assert not (tmp_path / "out").exists()


def test_out_that_is_a_file_or_not_writable_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "deeper"):
        with pytest.raises(UserError, match=f"{file} is a file"):
            program.main([*SMALL, f"--out={out}"])
    assert file.read_text() == "mine"
    with pytest.raises(UserError, match="cannot be made"):
        program.main([*SMALL, "--out=/proc/lossjax"])


def test_out_of_other_things_is_refused_before_anything_is_trained(
    tmp_path: Path, done: Path
) -> None:
    """A repository, and a report that somebody writes a thesis in."""
    repository, results = tmp_path / "repository", tmp_path / "results"
    repository.mkdir()
    (repository / ".env.local").write_text("mine")
    shutil.copytree(done, results)
    (results / "report" / "thesis.tex").write_text("mine")
    for out, said in (
        (repository, "holds .env.local and no sweep.json"),
        (results, "report/thesis.tex was not written by this suite"),
    ):
        before = {f: f.stat().st_mtime_ns for f in out.rglob("*")}
        for more in ([], ["--dry_run"]):
            with pytest.raises(UserError, match=said):
                program.main([*SMALL, f"--out={out}", *more])
        assert {f: f.stat().st_mtime_ns for f in out.rglob("*")} == before


@pytest.mark.slow
def test_the_users_shell_changes_no_number(tmp_path: Path, done: Path) -> None:
    """What notebooks and colleagues export, and a reader, `head`, that leaves."""
    shell = environment(
        JAX_ENABLE_X64="1",
        JAX_NUMPY_DTYPE_PROMOTION="strict",
        JAX_NUMPY_RANK_PROMOTION="raise",
        JAX_DEFAULT_MATMUL_PRECISION="bfloat16",
        JAX_DEFAULT_PRNG_IMPL="rbg",
        JAX_DEBUG_NANS="1",
        JAX_DISABLE_JIT="1",
        JAX_NUM_CPU_DEVICES="7",
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        XLA_FLAGS="intra_op_parallelism_threads=1",
    )
    command = [sys.executable, "-m", "lossjax.suite.cli", "sweep", *SMALL]
    refused = subprocess.run(
        [*command, f"--out={tmp_path / 'none'}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=shell,
    )
    assert refused.returncode == 2 and not (tmp_path / "none").exists()
    (line,) = refused.stderr.splitlines()
    assert line.startswith("lossjax: XLA_FLAGS=intra_op_parallelism_threads=1: ")
    shell["XLA_FLAGS"] = "--xla_cpu_enable_fast_math=false intra_op=1"
    with subprocess.Popen(
        [*command, f"--out={tmp_path / 'out'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=shell,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0, process.stderr.read()
    assert tables(tmp_path / "out") == tables(done)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("--platform=gpu", {}),
        ("--platform=tpu", {"JAX_PLATFORMS": "cpu"}),
        ("JAX_PLATFORMS=cuda", {"JAX_PLATFORMS": "cuda"}),
    ],
)
def test_an_accelerator_that_is_not_there_is_one_line(
    tmp_path: Path, asked: str, place: dict[str, str]
) -> None:
    flags = [asked] if asked.startswith("--") else []
    ended = sweep(*SMALL, *flags, f"--out={tmp_path / 'out'}", **place)
    assert ended.returncode == 2 and ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"lossjax: {asked}: no such device: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_platform_that_computes_wrong_numbers_is_exit_70(tmp_path: Path) -> None:
    out = tmp_path / "out"
    off = "--xla_cpu_experimental_ynn_fusion_type=dot"
    ended = sweep(*SMALL, f"--out={out}", XLA_FLAGS=off)
    if ended.returncode == 0:
        pytest.skip("this XLA is right even so")
    assert ended.returncode == 70, ended.stderr
    assert "self-test" in ended.stderr and len(ended.stderr.splitlines()) == 1
    assert not out.exists()


def test_ctrl_c_while_it_starts_is_one_line() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lossjax.suite.cli", "sweep", *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75
    assert error.strip() == "lossjax: stopped; nothing had begun"


def test_help_helps() -> None:
    ended = sweep("--help")
    assert ended.returncode == 0
    for word in ("./run.sh sweep", "--out", "--shard", "--dry_run", "--config.FIELD"):
        assert word in ended.stdout
