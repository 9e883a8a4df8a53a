"""The verb `soak` injects every fault once, and finds what is planted."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT
from lossjax.suite.soak import __main__ as program
from lossjax.suite.soak.faults import FAULTS
from lossjax.suite.soak.testbed import Tally


def soak(*arguments: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    return subprocess.run(
        [sys.executable, "-m", "lossjax.suite.cli", "soak", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        timeout=1100,
    )


# Which test tries a fault in fewer processes; those of long runs are tried by hand.
TRIED = {
    "killed_long": "sweep/test_resume.py::test_resumed_is_bitwise_the_undisturbed_run",
    "stopped": "sweep/test_sweep.py::test_interrupted_says_how_to_go_on",
    "flipped": "sweep/test_sweep.py::test_a_damaged_result_is_trained_again",
    "cut": "store/test_store.py::test_a_cut_file_is_damaged",
    "flipped_state": "sweep/test_resume.py::test_a_damaged_state_is_named",
    "stranger": "verify/test_verify.py::test_a_corruption_is_named",
    "sharded": "sweep/test_sweep.py::test_tasks_one_of_them_killed_equal_the_whole",
    "wild": "../training/test_training.py::test_a_diverged_replica_is_frozen",
    "elsewhere": "report/test_report.py::test_two_builds_are_equal_bytes",
    "fuzz": "soak/test_fuzz.py::test_some_inputs_of_every_kind_are_answered",
}


def test_what_the_soak_leaves_out_here_has_a_test() -> None:
    for test in TRIED.values():
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / "tests" / "suite" / file).read_text(), test


@pytest.mark.slow
def test_quick_form_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "soak.json"
    names = [name for name in FAULTS if name.partition(":")[0] not in TRIED]
    assert len(names) + len(TRIED) == len({n.partition(":")[0] for n in FAULTS})
    ended = soak("--quick", f"--only={','.join(names)}", f"--log={log}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 not noticed, 0 results lost" in ended.stdout
    rows = json.loads(log.read_text())
    assert [row["fault"] for row in rows] == names
    assert all(row["injected"] == FAULTS[row["fault"]].quick for row in rows)


def test_a_loss_and_a_fault_that_goes_unnoticed_are_counted() -> None:
    outcome = Tally()
    outcome.add(True, False, 2.0, "fine")
    outcome.add(False, True, 4.0, "bad")
    assert (outcome.injected, outcome.detected, outcome.lost) == (2, 1, 1)
    assert outcome.seconds == 3.0
    assert outcome.trouble == ["detected False, lost True: bad"]


def test_unknown_fault_is_one_line() -> None:
    with pytest.raises(UserError, match="'kiled': did you mean 'killed'."):
        program.main(["--only=kiled"])


@pytest.mark.parametrize("verb", ["soak", "bench"])
def test_nothing_named_is_not_everything(verb: str) -> None:
    main = importlib.import_module(f"lossjax.suite.{verb}.__main__").main
    with pytest.raises(UserError, match="^--only= names nothing"):
        main(["--only="])


@pytest.mark.parametrize("held", ["", "no json", "{}", "[1]", '[{"fault": 1}]'])
def test_log_that_is_none_is_refused_before_the_work(tmp_path: Path, held: str) -> None:
    log = tmp_path / "soak.json"
    log.write_text(held)
    with pytest.raises(UserError, match="^--log: .*soak.json.*; name another file$"):
        program.main(["--only=fuzz:names", "--times=1", f"--log={log}"])
    assert log.read_text() == held


def test_log_counts_what_was_asked_and_keeps_other_rows(tmp_path: Path) -> None:
    log = tmp_path / "soak.json"
    log.write_text(json.dumps([{"fault": "killed"}, {"fault": "fuzz:names"}]))
    assert program.main(["--only=fuzz:names", "--times=7", f"--log={log}"]) == 0
    first, second = json.loads(log.read_text())
    assert first == {"fault": "killed"} and second["injected"] == 7
    assert second["commit"] == program.commit()


def test_log_says_which_programs_were_tried(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    assert program.commit() == ""  # no repository
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    (tmp_path / "file").write_text("1")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "one")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    whole = program.commit()
    (tmp_path / "file").write_text("2")
    assert len(whole) >= 7 and program.commit() == f"{whole}+"
