"""Noise on the input: laws, names, and a target that stays clean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import LOSSES, METRICS
from lossjax.models import autoencoders
from lossjax.models.autoencoders import Shape, build
from lossjax.models.corruption import CORRUPTIONS
from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.sweep.validation import notes, validate
from lossjax.training.objective import network_input, objective, probe_key
from lossjax.training.replicas import Layout, as_intensity, make_mesh
from lossjax.training.scoring import Scorer

IMAGES = jnp.full((40, 20, 20, 1), 0.4)


@pytest.mark.parametrize("law", CORRUPTIONS)
def test_amount_is_what_the_law_says(law: str) -> None:
    noisy = np.asarray(CORRUPTIONS[law](jax.random.key(0), IMAGES, 0.25))
    hit = np.abs(noisy - 0.4) > 1e-6
    if law == "gaussian":
        assert noisy.std() == pytest.approx(0.25, rel=0.03)
        assert noisy.mean() == pytest.approx(0.4, abs=0.01)
        assert noisy.min() < 0 and noisy.max() > 1
        return
    assert hit.mean() == pytest.approx(0.25, abs=0.015)
    white = 0.0 if law == "masking" else 0.5
    assert set(np.unique(noisy[hit])) == ({0.0} if law == "masking" else {0.0, 1.0})
    assert noisy[hit].mean() == pytest.approx(white, abs=0.02)


@pytest.mark.parametrize("law", CORRUPTIONS)
def test_noise_is_of_the_key_and_of_each_value(law: str) -> None:
    one, same, other = (
        np.asarray(CORRUPTIONS[law](jax.random.key(k), IMAGES, 0.5)) for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other) and not np.array_equal(one[0], one[1])


@pytest.mark.parametrize("name", ["bce", "mse"])
def test_the_target_stays_clean(name: str) -> None:
    """Every loss meets the same noise: that of the key."""
    loss = LOSSES[name]
    net = build("mlp_ae(noise=salt_and_pepper)", Shape((6, 6, 1), hidden=(5,)))
    params, key = net.init(jax.random.key(0), jnp.zeros(1)), jax.random.key(5)
    images = jax.random.uniform(jax.random.key(1), (4, 6, 6, 1))
    noisy = CORRUPTIONS["salt_and_pepper"](jax.random.split(key, 3)[0], images, 0.3)
    expected = loss.fn(net.apply(params, noisy).raw, images)
    found = objective(net, loss, params, {}, images, key)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    plain = build("mlp_ae", Shape((6, 6, 1), hidden=(5,)))
    clean = objective(plain, loss, params, {}, images, key)
    np.testing.assert_array_equal(
        clean, loss.fn(plain.apply(params, images).raw, images)
    )


def test_scores_are_of_noisy_input_against_the_clean_image() -> None:
    loss, layout = LOSSES["mse"], Layout(1, 1, "map")
    net = build("mlp_ae(noise=masking, amount=0.5)", Shape((8, 8, 1), hidden=(5,)))
    params = net.init(jax.random.key(0), jnp.zeros(1))
    weights = jax.flatten_util.ravel_pytree(params)[0][None]
    images_u8 = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)
    scorer = Scorer(net, [loss], layout, make_mesh(layout))
    for block in (0, 3):
        scores, _ = scorer.scores(weights, np.array([True]), [loss], images_u8, block)
        images = as_intensity(images_u8)
        given = network_input(net, probe_key(block), images)
        image = loss.read_out(net.apply(params, given).raw)
        direct = METRICS["mse"].fn(image, images)
        np.testing.assert_allclose(scores["mse"][0], direct, rtol=1e-5)
    codes = scorer.codes(weights, np.array([True]), images_u8)
    np.testing.assert_allclose(codes[0], net.apply(params, images).code, atol=1e-5)


def test_old_names_stay_and_defaults_are_not_said() -> None:
    for name in ("conv_ae", "mlp_ae", "linear_ae"):
        assert autoencoders.resolve(name).name == name
    assert autoencoders.resolve("conv_ae(noise=none)").name == "conv_ae"
    named = "conv_ae(noise='gaussian', amount=0.30)"
    assert autoencoders.resolve(named).name == 'conv_ae(noise="gaussian")'


@pytest.mark.parametrize(
    "text, said",
    [
        ("vea", "unknown model 'vea': did you mean vae? valid: conv_ae, mlp_ae"),
        ("vae(beta=-1)", "vae: beta=-1 must be between 0 and 1000000"),
        ("vae(beta=nan)", "beta=nan is not a finite number"),
        ("vae(free_bits=-0.5)", "vae: free_bits=-0.5 must be between 0 and 100"),
        (
            "vae(body=cnn)",
            "vae: body='cnn': valid: conv, mlp, linear (layers around the code)",
        ),
        ("vae(dequantise=0.5)", "vae: dequantise=0.5 must be 0 or 1"),
        ("vae(warp=0.6)", "vae: warp=0.6 must be between -0.5 and 0.5"),
        ("vae(clip=0.5)", "vae: clip=0.5 must be between 0 and 0.25"),
        ("mlp_ae(warp=0.2)", "mlp_ae has no argument 'warp'"),
        ("conv_ae(beta=2)", "conv_ae has no argument 'beta': it takes noise, amount"),
        ("conv_ae(noise=salt)", "conv_ae: noise='salt': "),
        ("conv_ae(amount=0.2)", "conv_ae: amount=0.2 needs noise=..., one of gaussian"),
        ("mlp_ae(noise=masking, amount=2)", "amount=2 must be between 0.001 and 1"),
        ("mlp_ae(noise=masking, noise=none)", "noise is given twice"),
        ("conv_ae('masking')", "every argument needs its keyword"),
        ("conv_ae(", "cannot read model"),
    ],
)
def test_bad_values_are_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        validate(Sweep(models=(text,)))
    message = str(error.value)
    assert message.startswith("config.models: ") and said in message
    assert "\n" not in message


def test_a_model_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match="'vae\\(beta=1\\)' is 'vae', named twice"):
        validate(Sweep(models=("vae", "vae(beta=1)")))


def test_canonical_names_and_the_schedule_do_not_move_ids() -> None:
    plain = validate(Sweep(models=("conv_ae(noise=none)",), schedule="cosine"))
    assert plain == Sweep() and "schedule" not in plain.fixed()
    constant = validate(Sweep(schedule="constant"))
    assert constant.fixed()["schedule"] == "constant"
    with pytest.raises(UserError, match="config.schedule 'const': did you mean"):
        validate(Sweep(schedule="const"))


def test_only_variational_sweeps_can_be_judged_by_bits() -> None:
    sweep = Sweep(models=("vae",), primary_metric="bits_gaussian")
    assert validate(sweep) == sweep
    with pytest.raises(UserError, match="config.primary_metric"):
        validate(Sweep(primary_metric="bits_gaussian"))
    with pytest.raises(UserError, match="config.primary_metric"):
        validate(Sweep(models=("vae",), primary_metric="kl"))


def test_a_loss_that_is_dequantised_says_so() -> None:
    losses = ("bce", "continuous_bernoulli")
    loaded = {"digits": data.load("digits")}
    (line,) = notes(validate(Sweep(models=("conv_ae", "vae"), losses=losses)), loaded)
    assert line.startswith("vae / continuous_bernoulli: trains on dequantised pixels")
    assert "(255 y + u)/256 with" in line
    sweep = validate(Sweep(models=("vae(dequantise=1)",), losses=losses))
    assert not list(notes(sweep, loaded))
