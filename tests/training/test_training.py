"""The trainer: alone == together, frozen when lost, one program a family."""

import dataclasses
import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.sharding import NamedSharding, PartitionSpec

from lossjax import LOSSES, METRICS, Loss, resolve
from lossjax.models.autoencoders import Shape, build
from lossjax.training.probes import Progress
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import (
    Layout,
    Replica,
    as_intensity,
    blocks_of,
    make_mesh,
    plan_layout,
    slot,
    stack,
)
from lossjax.training.scoring import Scorer
from lossjax.training.settings import Settings
from lossjax.training.step import State

STEPS, BATCH = 12, 8
IMAGE = (8, 8, 1)
RATES = (1e-3, 3e-3, 1e-2)


@functools.cache
def images(count: int = 50) -> np.ndarray:
    """Smooth uint8 blobs, no two alike."""
    generator = np.random.default_rng(0)
    grid = np.mgrid[0:8, 0:8] / 7
    centres = generator.uniform(size=(count, 2, 1, 1))
    blobs = np.exp(-8 * ((grid - centres) ** 2).sum(1))
    return np.round(255 * blobs[..., None]).astype(np.uint8)


@functools.cache
def network():
    return build("conv_ae", Shape(IMAGE, latent_dim=3, width=(4, 8)))


@functools.cache
def raw_of():
    """(weights of one replica, images) -> raw output, by the network itself."""
    params = jax.eval_shape(network().init, jax.random.key(0), jnp.zeros(1))
    unravel = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape), params))[1]
    return jax.jit(lambda weights, x: network().apply(unravel(weights), x).raw)


def replica(loss: Loss, rate: float = 3e-3, seed: int = 0) -> Replica:
    return Replica(seed, rate, loss, loss.start(np.array([0.3])), True)


@functools.cache
def trainer(family: str, layout: Layout) -> Trainer:
    loss = LOSSES[family]
    made = Program(network(), Settings(STEPS, BATCH), layout, make_mesh(layout))
    return made.compile(stack([replica(loss)], layout), *resident(layout))


@functools.cache
def resident(layout: Layout):
    everywhere = NamedSharding(make_mesh(layout), PartitionSpec())
    data = images()[:30], blocks_of(images()[30:], 8)
    return jax.device_put(data, everywhere)


def train(
    made: Trainer, replicas: list[Replica], stops: tuple[int, ...] = (STEPS,)
) -> tuple[State, Progress]:
    """Train to the last stop in as many calls; states and progress by replica."""
    batched = stack(replicas, made.layout)
    state, start = made.init(batched), 0
    for stop in stops:
        state, progress = made.advance(
            batched, state, *resident(made.layout), start, stop, 3
        )
        start = stop
    order = [slot(index, made.layout) for index in range(len(replicas))]
    pick = lambda leaf: np.asarray(leaf)[order]  # noqa: E731
    return jax.tree.map(pick, state), jax.tree.map(pick, progress)


ONE = Layout(1, 1, "map")
FOUR = Layout(2, 4, "map")


def test_a_replica_in_a_chunk_equals_the_run_alone_bitwise() -> None:
    loss = LOSSES["bce"]
    runs = [replica(loss, rate, seed) for seed in (0, 1) for rate in RATES[:2]]
    together, progress = train(trainer("bce", FOUR), runs)
    for index, run in enumerate(runs):
        alone, progressed = train(trainer("bce", ONE), [run])
        np.testing.assert_array_equal(alone.weights[0], together.weights[index])
        assert progressed.validation_loss[0] == progress.validation_loss[index]


@pytest.mark.slow
def test_side_by_side_is_the_same_up_to_rounding() -> None:
    runs = [replica(LOSSES["mse"], 1e-3, seed) for seed in range(4)]
    one_by_one, _ = train(trainer("mse", FOUR), runs)
    side_by_side, _ = train(trainer("mse", Layout(2, 4, "vmap")), runs)
    np.testing.assert_allclose(one_by_one.weights, side_by_side.weights, atol=2e-4)


def test_split_calls_are_bitwise_one_call() -> None:
    run = [replica(LOSSES["bce"])]
    whole, progress = train(trainer("bce", ONE), run)
    for stops in ((1, 12), (3, 4, 12), (5, 6, 7, 12)):
        parts, progressed = train(trainer("bce", ONE), run, stops)
        jax.tree.map(np.testing.assert_array_equal, whole, parts)
        assert progress.validation_loss == progressed.validation_loss


def test_a_diverged_replica_is_frozen_and_its_neighbours_are_bitwise_unchanged() -> (
    None
):
    loss = LOSSES["mse_linear"]
    healthy = [replica(loss, rate) for rate in RATES]
    wild = replica(loss, 1e6)
    alone, _ = train(trainer("mse_linear", FOUR), healthy)
    beside, _ = train(trainer("mse_linear", FOUR), [*healthy, wild])
    np.testing.assert_array_equal(alone.weights, beside.weights[:3])
    np.testing.assert_array_equal(beside.diverged_step[:3], [-1, -1, -1])
    assert beside.diverged_step[3] == 0
    assert np.isfinite(beside.weights[3]).all()
    assert beside.train_steps[3] == 0 and (beside.train_steps[:3] == STEPS).all()
    fresh = trainer("mse_linear", FOUR).init(stack([wild], FOUR))
    np.testing.assert_array_equal(beside.weights[3], np.asarray(fresh.weights)[0])


@pytest.mark.parametrize("family", ["bce", "mse"])
@pytest.mark.parametrize("rate", [3e4, 1e6])
def test_a_rate_beyond_reason_diverges_behind_a_saturated_read_out(
    family: str, rate: float
) -> None:
    """One step of Adam moves every weight by the rate; the loss may stay finite."""
    state, _ = train(trainer(family, FOUR), [replica(LOSSES[family], rate)])
    assert state.diverged_step[0] == 0


@pytest.mark.slow
def test_a_loss_and_a_thousandth_of_it_train_alike() -> None:
    loss = LOSSES["bce"]

    def thousandth(raw: jax.Array, target: jax.Array) -> jax.Array:
        return 0.001 * loss.kernel(raw, target)

    small = dataclasses.replace(loss, kernel=thousandth)
    program = Program(network(), Settings(STEPS, BATCH), ONE, make_mesh(ONE))
    made = program.compile(stack([replica(small)], ONE), *resident(ONE))
    full, _ = train(trainer("bce", ONE), [replica(loss)])
    scaled, _ = train(made, [replica(small)])
    np.testing.assert_allclose(full.weights, scaled.weights, atol=1e-4)
    np.testing.assert_allclose(full.train_total, 1000 * scaled.train_total, rtol=1e-4)


def test_hyperparameters_rates_and_seeds_share_one_compiled_program() -> None:
    made = trainer("power", FOUR)
    runs = [replica(resolve(f"power(g={g})")) for g in (-0.5, 0, 0.5, 1)]
    together, _ = train(made, runs)
    weights = {row.tobytes() for row in together.weights}
    assert len(weights) == 4, "g has no effect"
    bce, _ = train(
        trainer("excess" if "excess" in LOSSES else "bce", FOUR),
        [replica(LOSSES["bce"])],
    )
    np.testing.assert_allclose(together.weights[1], bce.weights[0], atol=1e-4)


@pytest.mark.parametrize("family", list(LOSSES))
def test_every_loss_starts_from_the_same_weights(family: str) -> None:
    loss = LOSSES[family]
    if loss.channels > 1:
        pytest.skip("a head of several blocks: see test_models")
    made = Program(network(), Settings(STEPS, BATCH), ONE, make_mesh(ONE))
    start = np.zeros(1, np.float32)
    ours = made.init(stack([replica(loss)._replace(start=start)], ONE))
    other = LOSSES["bce"]
    base = Program(network(), Settings(STEPS, BATCH), ONE, make_mesh(ONE))
    theirs = base.init(stack([replica(other)._replace(start=start)], ONE))
    size = theirs.weights.shape[1]
    np.testing.assert_array_equal(ours.weights[:, :size], theirs.weights)


def test_memorises_eight_images() -> None:
    eight = images()[:8]
    settings = Settings(400, 8)
    net = build("conv_ae", Shape(IMAGE, latent_dim=8, width=(8, 16)))
    loss = LOSSES["bce"]
    batched = stack([replica(loss, 1e-2)], ONE)
    data = jax.device_put((eight, blocks_of(eight)))
    made = Program(net, settings, ONE, make_mesh(ONE)).compile(batched, *data)
    state, _ = made.advance(batched, made.init(batched), *data, 0, 400, 1)
    scorer = Scorer(net, [loss], ONE, make_mesh(ONE))
    scores, read_outs = scorer.scores(state.weights, np.array([True]), [loss], data[0])
    assert float(np.mean(scores["mse"])) < 5e-4
    assert np.abs(np.asarray(read_outs[0], int) - eight).max() < 40


@pytest.mark.slow
def test_an_epoch_sees_every_image_once_in_an_order_of_the_seed(monkeypatch) -> None:
    """The order is that of jax.random.permutation of a key folded with the epoch."""
    loss = LOSSES["mse"]
    made = trainer("mse", ONE)
    per_epoch = len(images()[:30]) // BATCH
    _, batch_key = jax.random.split(jax.random.key(5))
    (weights,) = made.init(stack([replica(loss, 1e-30, 5)], ONE)).weights
    expected = 0.0
    for step in range(STEPS):
        key = jax.random.fold_in(batch_key, step // per_epoch)
        order = jax.random.permutation(key, 30)
        place = step % per_epoch * BATCH
        batch = as_intensity(images()[:30][np.asarray(order[place : place + BATCH])])
        raw = raw_of()(weights, batch)
        expected += float(loss.fn(raw, batch).mean())
    state, _ = train(made, [replica(loss, 1e-30, 5)])
    np.testing.assert_allclose(state.train_total[0], expected, rtol=1e-5)
    assert made.orders is not None  # what the next call goes on with
    np.testing.assert_array_equal(made.orders.places[0], order)


@pytest.mark.slow
def test_validation_loss_is_the_mean_over_the_split() -> None:
    loss = LOSSES["mse"]
    state, progress = train(trainer("mse", ONE), [replica(loss)])
    there = as_intensity(images()[30:])
    raw = raw_of()(state.weights[0], there)
    np.testing.assert_allclose(
        progress.validation_loss[0], loss.fn(raw, there).mean(), rtol=1e-5
    )
    probe = there[:16]
    error = METRICS["mse"].fn(loss.read_out(raw[:16]), probe)
    np.testing.assert_allclose(progress.probe_mse[0], error.mean(), rtol=1e-5)


def test_scorer_uses_the_link_of_the_loss() -> None:
    losses = [LOSSES[name] for name in ("bce", "mse_linear", "continuous_bernoulli")]
    layout = ONE
    scorer = Scorer(network(), losses, layout, make_mesh(layout))
    state = trainer("bce", ONE).init(stack([replica(losses[0])], ONE))
    batch = jax.device_put(images()[:8])
    read_outs = []
    for loss in losses:
        scores, picture = scorer.scores(state.weights, np.array([True]), [loss], batch)
        read_outs.append(np.asarray(picture[0], float) / 255)
        direct = METRICS["mse"].fn(jnp.asarray(read_outs[-1]), as_intensity(batch))
        np.testing.assert_allclose(scores["mse"][0], direct, atol=2e-3)
    assert np.abs(read_outs[0] - read_outs[1]).max() > 0.05
    assert np.abs(read_outs[0] - read_outs[2]).max() > 0.05


def test_idle_slots_do_not_move() -> None:
    made = trainer("bce", FOUR)
    batched = stack([replica(LOSSES["bce"])], FOUR)
    before = np.asarray(made.init(batched).weights)
    state, _ = made.advance(batched, made.init(batched), *resident(FOUR), 0, STEPS, 3)
    np.testing.assert_array_equal(before[1:], np.asarray(state.weights)[1:])
    assert (np.asarray(state.train_steps)[1:] == 0).all()
    assert not np.array_equal(before[0], np.asarray(state.weights)[0])


def test_stack_deals_replicas_to_devices_in_turn() -> None:
    layout = Layout(2, 6, "map")
    assert [slot(i, layout) for i in range(6)] == [0, 3, 1, 4, 2, 5]
    batched = stack([replica(LOSSES["bce"], seed=s) for s in range(3)], layout)
    np.testing.assert_array_equal(batched.active, [1, 1, 0, 1, 0, 0])
    with pytest.raises(ValueError, match="7 replicas, 6 slots"):
        stack([replica(LOSSES["bce"])] * 7, layout)


@pytest.mark.parametrize(
    "backend, devices, runs, layout",
    [
        ("cpu", 2, 10, Layout(2, 10, "map")),
        ("cpu", 2, 1, Layout(1, 1, "map")),
        ("cpu", 4, 10, Layout(4, 12, "map")),
        ("cpu", 2, 1000, Layout(2, 64, "map")),
        ("tpu", 8, 10, Layout(8, 16, "vmap")),
    ],
)
def test_layout(backend: str, devices: int, runs: int, layout: Layout) -> None:
    assert plan_layout(backend, devices, runs) == layout


def test_replicas_need_no_communication() -> None:
    text = trainer("bce", FOUR).compiled.as_text()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective"):
        assert word not in text


def test_blocks_fill_up_and_say_so() -> None:
    blocks = blocks_of(images()[:20], 8)
    assert blocks.images.shape == (3, 8, 8, 8, 1)
    np.testing.assert_array_equal(blocks.weights.sum(1), [8, 8, 4])
    np.testing.assert_array_equal(
        blocks.images.reshape(-1, 8, 8, 1)[:20], images()[:20]
    )
    assert blocks_of(images()[:5]).images.shape == (1, 5, 8, 8, 1)


def test_golden_curve() -> None:
    """Numbers that stored results rest on. Where they move, raise lossjax.NUMERICS
    and say so under Results in CHANGELOG.md."""
    runs = [replica(LOSSES["bce"], 3e-3, seed) for seed in (0, 1)]
    state, _ = train(trainer("bce", FOUR), runs, (3,))
    golden = [1.624785, 1.651138]
    np.testing.assert_allclose(state.train_total, golden, rtol=1e-5)


def test_source_is_deterministic() -> None:
    first, _ = train(trainer("bce", FOUR), [replica(LOSSES["bce"])])
    again, _ = train(trainer("bce", FOUR), [replica(LOSSES["bce"])])
    digests = {
        hashlib.sha256(np.asarray(s.weights).tobytes()).hexdigest()
        for s in (first, again)
    }
    assert len(digests) == 1


def test_the_program_lowers_for_tpus() -> None:
    """Side by side and with native convolutions; for GPUs every config is lowered."""
    layout = Layout(2, 4, "vmap")
    made = Program(network(), Settings(STEPS, BATCH), layout, make_mesh(layout))
    batched = stack([replica(LOSSES["bce"])], layout)
    text = made.export(batched, *resident(layout), "tpu")
    assert "stablehlo.convolution" in text
    for word in ("all_reduce", "all_gather", "all_to_all", "collective"):
        assert f"stablehlo.{word}" not in text
