"""How runs are laid out: what fits a device, what is counted for it, what is kept."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import resolve
from lossjax.suite import data, protocol
from lossjax.suite.config import Sweep
from lossjax.suite.store import results as store
from lossjax.suite.sweep import packing
from lossjax.suite.sweep.programs import CODE, SLACK, ProgramKind, kinds
from lossjax.training.memory import nbytes, peak_bytes
from lossjax.training.replicas import Layout, Room, plan_layout

MIB = 2**20
SWEEP = Sweep(
    models=("mlp_ae",),
    losses=("bce", "categorical"),
    seeds=tuple(range(64)),
    train_steps=9,
    batch_size=16,
    latent_dim=4,
    width=(8, 16),
    hidden=(32,),
)


@pytest.fixture(scope="module")
def outlines() -> dict[str, data.Outline]:
    return {"digits": data.outline("digits")}


@pytest.mark.parametrize(
    ("memory", "replicas"),
    [(1000, 16), (63, 16), (62, 8), (33, 6), (12, 2), (1, 2)],
    ids=str,
)
def test_replicas_of_a_program_fit_a_device(memory: int, replicas: int) -> None:
    """5 MiB each beside 10 of images in 80 % of the memory, 8 runs for each of two."""
    room = Room(memory * MIB, 10 * MIB, 5 * MIB)
    layout = plan_layout("gpu", 2, 16, room=room)
    assert layout == Layout(2, replicas, "vmap")
    if memory >= 20:
        assert 10 + 5 * layout.replicas // 2 <= 0.8 * memory


def test_programs_that_follow_one_another_are_equally_full() -> None:
    room = Room(100, 0, 10)
    assert room.replicas == 8
    assert plan_layout("tpu", 1, 9, room=room).replicas == 5


def test_results_count_until_their_last_use() -> None:
    kilobyte = jax.ShapeDtypeStruct((256,), jnp.float32)

    def chain(x):
        for _ in range(5):
            x = jnp.sin(x)
        return x

    def together(x):
        return jnp.stack([jnp.sin(x), jnp.cos(x), jnp.tan(x)])

    def loop(x):
        return jax.lax.fori_loop(0, 9, lambda _, y: chain(y), x)

    def count(function, backend="cpu"):
        return peak_bytes(function, kilobyte, backend=backend)

    assert count(chain) == 2 * 1024
    # Three results, each also as a row, and what is made of the rows.
    assert count(together) == 6 * 1024
    # The carried array, and the two of the body; counters take a few bytes.
    assert 3 * 1024 <= count(loop) < 3 * 1024 + 64


def test_branches_of_other_backends_do_not_count() -> None:
    def big(x):
        return jnp.sum(jnp.outer(x, x))

    def chosen(x):
        return jax.lax.platform_dependent(x, cpu=big, default=jnp.sum)

    row = jax.ShapeDtypeStruct((256,), jnp.float32)
    assert peak_bytes(chosen, row, backend="cpu") > 256 * 1024
    assert peak_bytes(chosen, row, backend="tpu") < 1024


def kinds_of(sweep: Sweep, outlines: dict[str, data.Outline]) -> list[ProgramKind]:
    """Its kinds: a loss of other channels has its own."""
    return [kind for kind, _, _ in kinds(sweep, outlines, "vmap")]


def compiled_bytes(kind: ProgramKind, replicas: int) -> int:
    """What XLA says a program takes for its replicas, images left out."""
    layout = Layout(1, replicas, "vmap")
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("replica",))
    arguments = kind.shapes(layout, (1,))
    made = kind.program(SWEEP, layout, mesh, (1,)).compile(*arguments)
    return made.bytes - nbytes(arguments[1:])


@pytest.mark.slow
def test_the_trace_says_what_a_compiled_replica_needs(outlines) -> None:
    convolving = dataclasses.replace(SWEEP, models=("conv_ae",), losses=("bce",))
    _, mlp = kinds_of(SWEEP, outlines)
    for kind in (mlp, *kinds_of(convolving, outlines)):
        two, four = (compiled_bytes(kind, count) for count in (2, 4))
        traced = kind.replica_bytes(SWEEP, jax.devices()[0])
        assert traced / 3 < (four - two) / 2 < SLACK * traced, kind


def test_the_largest_program_of_a_sweep_decides(outlines) -> None:
    device = jax.devices()[0]
    sizes = [one.replica_bytes(SWEEP, device) for one in kinds_of(SWEEP, outlines)]
    assert len(sizes) == 2 and max(sizes) > 5 * min(sizes)
    resident = (1197 + 300) * 64 + 3 * CODE
    memory = int((resident + 10 * SLACK * max(sizes)) / 0.8) + 1
    found = packing.plan(SWEEP, outlines, "tpu", [device], memory)
    assert found.room == Room(memory, resident, int(SLACK * max(sizes)))
    assert found.room.replicas == 10
    assert found.layout == Layout(1, 10, "vmap"), "64 in seven programs"
    assert "GiB hold 10, at most" in str(found)


@pytest.mark.parametrize(
    ("seeds", "asked", "lowering"),
    [
        (31, {}, ""),
        (32, {}, "taps"),
        (31, {"gpu": "deterministic"}, "taps"),
        (31, {"precision": "tf32x3"}, "taps"),
    ],
)
def test_a_gpu_tries_its_own_convolutions_where_few_are_grouped(
    seeds: int, asked: dict, lowering: str, outlines
) -> None:
    """And where neither bits nor precision depend on it."""
    some = {"losses": ("bce", "mse"), "learning_rates": (1e-3,)}
    few = dataclasses.replace(SWEEP, **some, seeds=tuple(range(seeds)), **asked)
    found = packing.plan(few, outlines, "gpu", jax.devices()[:1], None).layout
    assert found == Layout(1, 2 * seeds, "vmap", lowering)


def test_nothing_bounds_a_cpu(outlines) -> None:
    found = packing.plan(SWEEP, outlines, "cpu", jax.devices()[:2], MIB)
    assert found == packing.LayoutPlan(Layout(2, 64, "map"))
    words = "up to 64 runs, 32 on each of 2 devices, one after the other"
    assert str(found) == f"a program trains {words}"
    assert str(packing.LayoutPlan(Layout(1, 1, "map"))) == "a program trains one run"
    here, note = packing.here(SWEEP, outlines)
    assert note is None and here.room is None


def result(layout: object) -> store.Result:
    run = store.Run("digits", "conv_ae", "bce", 1e-3, 0, 8, 200, {})
    return store.Result(run, "ok", provenance={"layout": layout})


PLANNED = packing.LayoutPlan(Layout(8, 32, "vmap"), Room(100, 0, 10))


@pytest.mark.parametrize(
    ("stored", "kept", "words"),
    [
        ([], None, None),
        (["2 devices", None], None, None),
        ([Layout(8, 32, "vmap")], None, None),
        ([Layout(8, 16, "vmap")], Layout(8, 16, "vmap"), "kept"),
        ([Layout(4, 32, "vmap")], Layout(4, 32, "vmap"), "kept"),
        ([Layout(4, 64, "vmap")], None, "verify refuses"),
        ([Layout(16, 16, "vmap")], None, "verify refuses"),
        ([Layout(2, 16, "map")], None, "verify refuses"),
    ],
    ids=["none", "words", "same", "fewer", "devices", "memory", "absent", "cpu"],
)
def test_more_runs_are_laid_out_like_the_stored_ones(stored, kept, words) -> None:
    results = [result(one.record if isinstance(one, Layout) else one) for one in stored]
    found, note = packing.resumed(PLANNED, results, devices=8)
    assert found == dataclasses.replace(PLANNED, layout=kept or PLANNED.layout)
    assert (note is None) if words is None else (words in note)


def test_runs_one_after_the_other_need_no_other_layout() -> None:
    planned = packing.LayoutPlan(Layout(2, 20, "map"))
    stored = [result(vars(Layout(4, 64, "map")))]
    assert packing.resumed(planned, stored, devices=2) == (planned, None)


MANY = Sweep(
    losses=("bce", "huber(delta=0.1)", "huber(delta=0.2)", "gaussian_shared"),
    learning_rates=(1e-3, 1e-2),
    seeds=tuple(range(7)),
)


@pytest.mark.parametrize("each", [3, 4, 8, 16, 24, 112])
def test_packs_hold_every_run_once_in_rows_of_one_seed(each: int, outlines) -> None:
    """However few slots there are, whatever of the grid is stored already."""
    layout = Layout(2, 2 * each, "vmap")
    ((kind, _, texts),) = kinds(MANY, outlines, "vmap", layout.each)
    assert kind.families == ("bce", "huber", "gaussian_shared")
    slots = packing.slots_of(MANY, kind, layout)
    assert slots.layout.replicas <= layout.replicas
    ends = np.cumsum(slots.segments)
    fixed = {"digits": {"fingerprint": "x"}}
    grid = protocol.blocks(MANY, protocol.fixed_values(MANY, fixed, 1))
    pending = [run for block in grid for run in block.runs][5:]
    assert {run.loss for run in pending} == set(texts)
    seen, packs = set(), 0
    while pending:
        packed = slots.pack(pending)
        packs += 1
        places = [place for _, place in packed]
        assert len(set(places)) == len(places) and max(places) < slots.layout.replicas
        of_row: dict[int, set[int]] = {}
        for run, place in packed:
            of_row.setdefault(place // slots.width, set()).add(run.seed)
            family = kind.families[np.searchsorted(ends, place % slots.width, "right")]
            assert resolve(run.loss).family == family
        assert all(len(seeds) == 1 for seeds in of_row.values())
        seen |= {run.run_id for run, _ in packed}
        taken = {run.run_id for run, _ in packed}
        pending = [run for run in pending if run.run_id not in taken]
    assert len(seen) == 7 * 8 - 5 and packs in (slots.packs - 1, slots.packs)


def test_losses_that_do_not_fit_one_row_have_several_programs(outlines) -> None:
    found = [kind.families for kind, _, _ in kinds(MANY, outlines, "vmap", 2)]
    assert found == [("bce", "huber"), ("gaussian_shared",)]


def test_mapped_losses_with_trained_scalars_have_their_own_program(outlines) -> None:
    """Their weights are more, and bits are those of a run alone."""
    found = [kind.families for kind, _, _ in kinds(MANY, outlines, "map")]
    assert found == [("bce", "huber"), ("gaussian_shared",)]
