"""The bench: what is timed, and what is said of it."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax.models import autoencoders
from lossjax.suite.bench import __main__ as program
from lossjax.suite.bench import pairs, table, whole, width
from lossjax.suite.bench.works import WORKS
from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT

PUBLISHED = ROOT / "results" / "published" / "bench" / "bench.json"


@pytest.mark.parametrize("name", WORKS)
def test_a_work_counts_the_network_that_is_trained(name: str) -> None:
    work = WORKS[name]
    shape = autoencoders.Shape(work.image, 1, work.latent_dim, work.width)
    network = autoencoders.build("conv_ae", shape)
    start = jnp.zeros(work.image[2])
    weights = jax.eval_shape(network.init, jax.random.key(0), start)
    sizes = [np.prod(leaf.shape) for leaf in jax.tree.leaves(weights)]
    assert sum(sizes) == work.parameters

    def total(weights, images):
        return jnp.sum(network.apply(weights, images).raw)

    images = jax.ShapeDtypeStruct((4, *work.image), jnp.float32)
    lowered = jax.jit(jax.grad(total)).trace(weights, images).lower()
    counted = lowered.cost_analysis()["flops"] / 4
    # The compiler also counts what is no product, and the rims that folding drops.
    assert 0.95 < counted / work.flops < 1.35


def test_the_page_has_every_part_that_was_measured() -> None:
    found = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    of_cpus = {part for part in program.PARTS if part != "width"}
    assert set(found["nets"]) | set(found) >= of_cpus
    page = table.markdown(found)
    for name in WORKS:
        assert f"| {name}, batch {WORKS[name].batch}" in page
    part = {"nets": {}, "replicas": found["replicas"]}
    assert table.markdown(part).startswith("A run at 64 replicas takes")


def test_ratios_keep_their_pairs_and_their_range() -> None:
    assert pairs.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}


def test_scores_are_of_chosen_runs_in_the_order_of_seeds(tmp_path) -> None:
    rows = "loss,seed,chosen,val_mse,test_mse\nbce,0,False,1,\nbce,0,True,1,2\n"
    (tmp_path / "rows.csv").write_text(rows + "mse,0,True,1,5\nbce,1,True,1,3\n")
    scores = whole._scores(tmp_path / "rows.csv")
    assert scores["bce", "mse"].tolist() == [2, 3] and set(scores) == {
        ("bce", "mse"),
        ("mse", "mse"),
    }


def test_a_change_is_that_of_the_loss_that_changed_most() -> None:
    plain = {(loss, "mse"): np.array([1.0, 2.0, 3.0]) for loss in ("bce", "mse")}
    other = {("bce", "mse"): np.array([1.1, 2.1, 3.1]), ("mse", "mse"): np.full(3, 1.5)}
    found = whole._change(plain, other)
    assert found == {"mse": {"change": pytest.approx(-0.5), "of_spread": 0.5}}
    part = {"speed": {}, "metrics": {"bfloat16": found}, "seeds": 3, "steps": 5}
    page = table.markdown({"nets": {}, "precision": part})
    assert re.search(r"\| mse +\| -0.5 +\| 0.50 ", page), page


@pytest.mark.slow
def test_width_is_of_the_programs_of_a_sweep() -> None:
    one, more = width.measure([1, 24], "taps", 5, 2)
    assert one["runs"] == 1 and more["runs"] == 20, "ten losses at two rates"
    for row in (one, more):
        assert row["layout"]["mapping"] == "vmap" and row["bytes"] > 0
        assert 0 < row["step_ms"]["low"] <= row["step_ms"]["high"]
    found = {"rows": [one, more], "device_kind": "a card"}
    page = table.markdown({"nets": {}, "width": found})
    assert page.startswith("Ten losses of the digits on a card") and "| 20 " in page


def test_both_sides_are_the_same_network() -> None:
    pytest.importorskip("torch", reason="the bench lock is not installed")
    assert program.same("32 digits")["parameters"] == WORKS["32 digits"].parameters


@pytest.mark.parametrize("take", [pairs.Side, pairs.timed])
def test_error_of_a_side_is_its_one_line(take) -> None:
    """Before, the end of a side was a traceback of the bench."""
    with pytest.raises(UserError, match="^JAX_PLATFORMS=tpu: no such device: [^\n]*$"):
        call = ["32 digits"]
        calls = [call] if take is pairs.Side else call
        take("ours", calls, {"JAX_PLATFORMS": "tpu"})


def test_side_that_crashes_is_one_line() -> None:
    with pytest.raises(ChildProcessError, match="ours ended with 1: ValueError: inv"):
        pairs.Side("ours", [["32 digits", "replicas=x"]])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only=sweeps"], "did you mean 'sweep'"),
        (["--out=nowhere/bench.json"], "its folder does not exist"),
        (["--only=width"], "needs a GPU or TPU; this machine has none"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        program.main(arguments)
    assert "\n" not in str(caught.value)
