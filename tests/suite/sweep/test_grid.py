"""Results are stored in the background, and none is lost."""

import threading
from pathlib import Path

import pytest

from lossjax.suite.store import results as store
from lossjax.suite.sweep import grid

RUNS = [store.Run("digits", "mlp_ae", "bce", 1e-3, n, 2, 5, {}) for n in range(40)]


def test_all_are_stored_once_the_context_is_left(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(KeyError), grid._Storing(tmp_path) as storing:
        for run in RUNS:
            storing.add(store.Result(run, "failed", message="a test"))
        raise KeyError("what ends a sweep")
    assert set(store.load(tmp_path).results) == {run.run_id for run in RUNS}


def test_one_that_cannot_be_stored_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / RUNS[0].run_id).write_text("in the way")
    with pytest.raises(FileExistsError), grid._Storing(tmp_path) as storing:
        for run in RUNS:
            storing.add(store.Result(run, "failed", message="a test"))
    assert len(list(tmp_path.glob("runs/*/result.json"))) == len(RUNS) - 1


def test_few_wait_for_the_disk(tmp_path: Path, monkeypatch) -> None:
    """Their memory is bounded: what comes too fast waits."""
    monkeypatch.setattr(grid, "_UNSTORED", 3)
    may_go, waiting = threading.Event(), []
    monkeypatch.setattr(store, "write_result", lambda *_: may_go.wait(20))
    with grid._Storing(tmp_path) as storing:

        def add() -> None:
            for run in RUNS[:4]:
                storing.add(store.Result(run, "failed"))
                waiting.append(run)

        thread = threading.Thread(target=add)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and len(waiting) == 3
        may_go.set()
        thread.join()
