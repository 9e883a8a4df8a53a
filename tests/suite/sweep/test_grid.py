"""Results are stored in the background, and none is lost."""

import threading
from pathlib import Path

import pytest

from lossjax.suite.store import checkpoint, destination
from lossjax.suite.store import results as store
from lossjax.suite.sweep import grid

RUNS = [store.Run("digits", "mlp_ae", "bce", 1e-3, n, 2, 5, {}) for n in range(40)]
MADE = [store.Result(run, "failed", message="a test") for run in RUNS]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    return tmp_path


def storing(out: Path) -> grid._Storing:
    return grid._Storing(destination.of(out, RUNS))


def test_all_are_stored_once_the_context_is_left(out: Path) -> None:
    states = checkpoint.states_of(out)
    states.save([(RUNS[0], checkpoint.Checkpoint(1, (), {}, {}))])
    with pytest.raises(KeyError), storing(out) as background:
        background.add(MADE, states)
        raise KeyError("what ends a sweep")
    assert set(store.load(out).results) == {run.run_id for run in RUNS}
    assert states.read(RUNS[0], {}) is None


def test_one_that_cannot_be_stored_costs_no_other(out: Path) -> None:
    (out / "runs" / RUNS[0].run_id).write_text("in the way")
    with pytest.raises(FileExistsError), storing(out) as background:
        background.add(MADE, checkpoint.states_of(out))
    assert len(list(out.glob("runs/*/result.json"))) == len(RUNS) - 1


def test_at_most_one_pack_waits(out: Path, monkeypatch) -> None:
    may_go, added = threading.Event(), []
    monkeypatch.setattr(store, "write_result", lambda *_: may_go.wait(20))
    with storing(out) as background:

        def add() -> None:
            for result in MADE[:2]:
                background.add([result], checkpoint.states_of(out))
                added.append(result)

        thread = threading.Thread(target=add)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and len(added) == 1
        may_go.set()
        thread.join()
