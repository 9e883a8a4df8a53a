"""Variational models: objective, bounds, implied noise scale, what is dequantised."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from lossjax import LATENT_METRICS, LOSSES, Loss, resolve
from lossjax.metrics.latent_variables import IW_SAMPLES, Facts, Terms
from lossjax.models import autoencoders
from lossjax.models.autoencoders import Network, Shape, build
from lossjax.models.pixels import Pixels
from lossjax.training.batches import Batch
from lossjax.training.objective import (
    dequantise,
    divergence,
    is_unbounded,
    needs_dequantisation,
    objective,
    probe_key,
    sample,
    warp,
)
from lossjax.training.probes import progress_of
from lossjax.training.program import Program
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.settings import OPTIMISERS, Settings
from lossjax.training.step import Recipe, State, initial_state, train_step
from lossjax.training.variational import VariationalScorer, _terms
from lossjax.training.weights import parameters_of

IMAGE, UNITS = (4, 4, 1), 3
ONE = Layout(1, 1, "map")


@functools.cache
def network(
    name: str = "vae(body=mlp)", blocks: int = 1, units: int = UNITS
) -> Network:
    return build(name, Shape(IMAGE, blocks, latent_dim=units, hidden=(6,)))


@functools.cache
def images_u8(count: int = 24) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *IMAGE), np.uint8)


def weights(net: Network, loss: Loss, scale: float = 1.0) -> jax.Array:
    """A vector as `State.weights`: the network's, then the loss's scalars."""
    from jax.flatten_util import ravel_pytree

    start = jnp.asarray(loss.start(np.array([0.4])), jnp.float32)
    params = net.init(jax.random.key(1), start)
    return scale * ravel_pytree((params, loss.scalars))[0]


def parameters(net: Network, loss: Loss, scale: float = 1.0):
    return parameters_of(net, weights(net, loss, scale))


_compiled_terms = jax.jit(_terms, static_argnums=0)


def scored(net: Network, loss: Loss, samples: int = 0, scale: float = 1.0) -> Terms:
    """Terms with a leading axis of one slot, as numpy."""
    flat = weights(net, loss, scale)
    made = _compiled_terms(
        net, loss, flat, images_u8(), jnp.int32(0), jnp.int32(samples)
    )
    return Terms(*(np.asarray(leaf)[None] for leaf in made))


def facts(net: Network, loss: Loss, noise: float = 0.1) -> Facts:
    assert net.latent is not None
    return Facts(
        loss.law, loss.stretch, net.latent.beta, math.prod(IMAGE), np.array([noise])
    )


def test_divergence_is_that_of_normal_laws() -> None:
    code = jnp.array([[0.0, 1.5, -2.0, 0.0, -1.0, 0.7]])

    def integrand(x: float, law: object) -> float:
        return law.pdf(x) * (law.logpdf(x) - stats.norm.logpdf(x))

    for unit, found in enumerate(np.asarray(divergence(code)[0])):
        law = stats.norm(float(code[0, unit]), math.exp(float(code[0, 3 + unit]) / 2))
        direct, _ = integrate.quad(integrand, -30, 30, args=(law,), limit=200)
        assert found == pytest.approx(direct, abs=1e-5)


def test_a_draw_has_the_mean_and_the_variance_of_its_code() -> None:
    code = jnp.tile(jnp.array([[1.0, -2.0, 0.0, -1.0]]), (20_000, 1))
    z = np.asarray(sample(jax.random.key(0), code))
    np.testing.assert_allclose(z.mean(0), [1, -2], atol=0.03)
    np.testing.assert_allclose(z.var(0), np.exp([0, -1]), rtol=0.04)


@pytest.mark.parametrize("name", ["bce", "mae", "gaussian_pixel", "student_t"])
@pytest.mark.parametrize("beta", [1, 16])
def test_objective_is_reconstruction_plus_beta_kl_over_the_pixels(
    name: str, beta: int
) -> None:
    """Written out; every loss meets the draws that the key alone fixes."""
    loss = LOSSES[name]
    net = network(f"vae(body=mlp, beta={beta})", loss.channels)
    params, key = parameters(net, loss), jax.random.key(7)
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    found = objective(net, loss, params, loss.scalars, images, key)
    code = net.encode(params, images)
    mean, log_variance = code[:, :UNITS], code[:, UNITS:]
    noise = jax.random.normal(jax.random.split(key, 3)[1], mean.shape)
    raw = net.decode(params, mean + jnp.exp(log_variance / 2) * noise)
    kl = (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum(1) / 2
    expected = loss.fn(raw, images) + beta * kl / 16
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_free_bits_cost_as_much_below_them_and_nothing_changes_above() -> None:
    loss, key = LOSSES["bce"], jax.random.key(7)
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    plain = network()
    params = parameters(plain, loss)
    each = divergence(plain.encode(params, images)).mean(0)
    low, high = float(each.min()) / 2, float(each.max()) * 2
    free = objective(plain, loss, params, {}, images, key).mean()
    for bits, price in ((low, each.sum()), (high, UNITS * high)):
        net = network(f"vae(body=mlp, free_bits={bits})")
        paid = objective(net, loss, params, {}, images, key).mean()
        assert float(paid - free) == pytest.approx(
            float(price - each.sum()) / 16, abs=1e-6
        )
    slope = jax.grad(
        lambda p: (
            objective(
                network(f"vae(body=mlp, free_bits={high})"), loss, p, {}, images, key
            ).mean()
            - loss.fn(plain.decode(p, jnp.zeros((24, UNITS))), images).mean() * 0
        )
    )(params)
    assert np.isfinite(jax.tree.leaves(slope)[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bce", "gaussian_shared", "continuous_bernoulli"])
def test_elbo_is_minus_the_objective_of_a_whole_image(name: str) -> None:
    loss, net = LOSSES[name], network()
    terms = scored(net, loss)
    found = LATENT_METRICS["elbo"].fn(terms, facts(net, loss))[0]
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    params = parameters(net, loss)
    paid = objective(net, loss, params, loss.scalars, images, probe_key(0))
    np.testing.assert_allclose(found, -16 * np.asarray(paid), rtol=1e-4)


def test_the_importance_weighted_bound_reaches_the_likelihood() -> None:
    """With one code unit the likelihood is an integral that quadrature knows."""
    loss, net = resolve("gaussian(sigma=0.3)"), network(units=1)
    params = parameters(net, loss)
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    z = jnp.linspace(-8, 8, 2001)[:, None]
    raw = net.decode(params, z)
    prior = jax.scipy.stats.norm.logpdf(z[:, 0]) + math.log(16 / 2000)

    def likelihood(image: jax.Array) -> jax.Array:
        whole = jnp.broadcast_to(image[None], (2001, *IMAGE))
        return jax.nn.logsumexp(prior - 16 * loss.fn(raw, whole))

    exact = np.asarray(jax.lax.map(likelihood, images))
    elbo, few, many = (
        LATENT_METRICS[metric].fn(scored(net, loss, samples), facts(net, loss))[0]
        for metric, samples in (
            ("elbo", 0),
            ("iw_bound", IW_SAMPLES),
            ("iw_bound", 4096),
        )
    )
    np.testing.assert_allclose(many, exact, atol=0.1)
    assert abs(many.mean() - exact.mean()) < abs(few.mean() - exact.mean()) + 0.02
    assert elbo.mean() < few.mean() < exact.mean() + 0.05
    none = LATENT_METRICS["iw_bound"].fn(scored(net, loss), facts(net, loss))
    assert np.isnan(none).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, beta, sigma",
    [
        ("mse", 1, math.sqrt(1 / 2)),
        ("mse", 16, math.sqrt(16 / 2)),
        ("mse_linear", 0.5, 0.5),
        ("power(g=1)", 1, 1.0),
        ("gaussian(sigma=0.2)", 1, 0.2),
        ("gaussian(sigma=0.2)", 4, 0.4),
        ("gaussian_shared", 1, math.exp(-2.0)),
    ],
)
def test_implied_scale_of_squared_error_is_beta_over_two_c(
    name: str, beta: float, sigma: float
) -> None:
    loss = resolve(name)
    net = network(f"vae(body=mlp, beta={beta})")
    # A head near its start keeps the intensity of mse_linear inside [0, 1].
    found = LATENT_METRICS["implied_sigma"].fn(
        scored(net, loss, scale=0.2 if name == "mse_linear" else 1.0), facts(net, loss)
    )
    # The trained scale is kept softly above half a grey level.
    assert found[0] == pytest.approx(sigma, rel=0.02 if "shared" in name else 1e-4)


def test_implied_scale_of_other_losses() -> None:
    """Bce weighs a residual by 1 / (p (1 - p)): a scale of at most a half."""
    net = network()
    sigma = LATENT_METRICS["implied_sigma"].fn
    bce = sigma(scored(net, LOSSES["bce"]), facts(net, LOSSES["bce"]))
    assert 0.4 < bce[0] < 0.5
    loss = LOSSES["gaussian_optimal"]
    optimal = scored(net, loss)
    images = np.asarray(images_u8(), np.float32) / 255
    params = parameters(net, loss)
    code = net.encode(params, images)
    key = jax.random.split(probe_key(0), 3)[1]
    image = np.asarray(loss.read_out(net.decode(params, sample(key, code))))
    rms = math.sqrt(((image - images) ** 2).mean())
    assert sigma(optimal, facts(net, loss))[0] == pytest.approx(rms, rel=1e-4)


def terms_of(**given: np.ndarray) -> Terms:
    blank = dict.fromkeys(Terms._fields, np.zeros((1, 2)))
    return Terms(**(blank | given))


@pytest.mark.parametrize("name", ["bce", "gaussian_shared"])
def test_terms_are_of_the_pixels_that_count(name: str) -> None:
    """Every term of pixels alone; what a mask hides has no part in any of them."""
    loss, plain = LOSSES[name], network()
    floats = jnp.asarray(images_u8(), jnp.float32) / 255

    def found(pixels: Pixels, images: jax.Array) -> Terms:
        net = dataclasses.replace(plain, pixels=pixels)
        args = weights(net, loss), images, jnp.int32(0), jnp.int32(2)
        return jax.jit(functools.partial(_terms, net, loss))(*args)

    whole = found(Pixels(256, "float32"), floats)
    same = found(Pixels(256, "float32", masked=True), floats)
    for field, one, other in zip(Terms._fields, whole, same, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, err_msg=field)
    # A network is given mid-grey under a mask: two halves of mid-grey are the whole.
    flat, even = jnp.full_like(floats, 0.5), jnp.arange(IMAGE[1])[:, None] % 2 == 0
    one, other = (
        found(Pixels(0, "float32", masked=True), jnp.where(seen, flat, jnp.nan))
        for seen in (even, ~even)
    )
    both = found(Pixels(0, "float32"), flat)
    for field in ("value", "density", "continuous", "matched", "slope", "pull"):
        sums = getattr(one, field) + getattr(other, field)
        np.testing.assert_allclose(sums, getattr(both, field), rtol=1e-4, err_msg=field)
    np.testing.assert_allclose((one.error + other.error) / 2, both.error, rtol=1e-5)
    assert np.isfinite(one.bound).all() and (one.bound != both.bound).all()


def test_bits_of_what_says_nothing_are_those_of_grey_levels() -> None:
    """Uniform over 256 levels, or of density one: 8 bits; KL comes on top."""
    price = np.array([[0.0, 16 * math.log(2)]])
    levels = Facts("levels", 1.0, 1.0, 16, np.array([0.1]))
    uniform = terms_of(value=np.full((1, 2), 16 * math.log(256)), divergence=price)
    bits = LATENT_METRICS["bits_per_dim"].fn
    np.testing.assert_allclose(bits(uniform, levels), [[8, 9]])
    flat = terms_of(divergence=price)
    density = Facts("density", 1.0, 1.0, 16, np.array([0.1]))
    np.testing.assert_allclose(bits(flat, density), [[8, 9]])
    other = Facts("density", 255 / 256, 1.0, 16, np.array([0.1]))
    np.testing.assert_allclose(bits(flat, other), [[8.00565, 9.00565]], atol=1e-5)
    many = dataclasses.replace(density, levels=4096, dimension=np.array([16, 8]))
    np.testing.assert_allclose(bits(flat, many), [[12, 14]])
    floats = dataclasses.replace(density, levels=0)
    assert np.isnan(bits(flat, floats)).all()
    assert np.isnan(LATENT_METRICS["bits_gaussian"].fn(flat, floats)).all()
    for law in ("", "binary"):
        none = Facts(law, 1.0, 1.0, 16, np.array([0.1]))
        assert np.isnan(bits(flat, none)).all()
        assert np.isnan(LATENT_METRICS["elbo"].fn(flat, none)).all() == (law == "")


def test_bits_of_a_calibrated_gaussian() -> None:
    facts_of = Facts("", 1.0, 1.0, 16, np.array([0.05]))
    terms = terms_of(error=np.full((1, 2), 0.05**2))
    expected = 8 + (math.log(2 * math.pi * math.e) / 2 + math.log(0.05)) / math.log(2)
    found = LATENT_METRICS["bits_gaussian"].fn(terms, facts_of)
    np.testing.assert_allclose(found, np.full((1, 2), expected))


def test_a_density_integrates_to_one_over_dequantised_pixels() -> None:
    """What `law` and `stretch` say of each loss, over all that a pixel can be."""
    for name, loss in LOSSES.items():
        if loss.law not in ("density", "levels") or not loss.per_image:
            continue
        raw = jnp.linspace(-0.4, 0.6, loss.channels).reshape(1, 1, 1, -1)
        if name == "beta_density":  # sharp enough that nothing is beyond black or white
            raw = jnp.array([-0.4, 4.0]).reshape(1, 1, 1, 2)
        width = 61 if loss.law == "density" else 256
        if name in ("continuous_bernoulli", "beta_density"):
            width = 1  # of all values that a target may have
        count = 256 if loss.law == "levels" else 400_000
        y = (jnp.arange(count) + 0.5) * (width / count) - (width - 1) / 2
        if loss.law == "levels":
            y = jnp.arange(256) / 255
        raw = jnp.broadcast_to(raw, (len(y), 1, 1, loss.channels))
        mass = np.exp(-np.asarray(loss.fn(raw, y.reshape(-1, 1, 1, 1)), np.float64))
        total = mass.sum() * width / count * loss.stretch
        assert total == pytest.approx(1, abs=5e-3), name


def test_active_units_move_with_the_image() -> None:
    mean = np.zeros((2, 100, 3))
    mean[0, :, 1] = np.linspace(-1, 1, 100)
    mean[0, :, 2] = 0.05 * np.linspace(-1, 1, 100)
    terms = terms_of(mean=mean)
    found = LATENT_METRICS["active_units"].fn(terms, Facts("", 1, 1, 16, np.ones(2)))
    np.testing.assert_array_equal(found, [1, 0])


def test_dequantised_pixels_round_back_and_fill_their_level() -> None:
    levels = jnp.arange(256.0).reshape(-1, 1, 1, 1) / 255
    smooth = dequantise(jax.random.key(0), jnp.tile(levels, (1, 20, 20, 1)))
    back = np.floor(np.asarray(smooth) * 256)
    np.testing.assert_array_equal(back[:, 0, 0, 0], np.arange(256))
    assert float(smooth.min()) >= 0 and float(smooth.max()) <= 1
    assert np.std(np.asarray(smooth[7]) * 256 - 7) == pytest.approx(12**-0.5, rel=0.1)


def test_only_what_would_be_infinite_is_dequantised_unasked() -> None:
    assert [name for name in LOSSES if is_unbounded(name)] == ["continuous_bernoulli"]
    loss, other = LOSSES["continuous_bernoulli"], LOSSES["bce"]
    assert needs_dequantisation(network(), loss) and not needs_dequantisation(
        network(), other
    )
    assert needs_dequantisation(network("vae(body=mlp, dequantise=1)"), other)
    assert not needs_dequantisation(network("mlp_ae"), loss)


WARPS = (-0.5, -0.3, 0.0, 0.25, 0.5)


@pytest.mark.parametrize("gamma", WARPS)
def test_the_warp_is_the_one_of_its_source(gamma: float) -> None:
    """By jax and by numpy: steeper about the middle below 0, flatter above."""
    x = np.linspace(0, 1, 201)
    found = np.asarray(warp(jnp.asarray(x, jnp.float32), gamma))
    if gamma == -0.5:
        expected = np.where(x < 0.5, 0.0, 1.0)
    elif gamma < 0:
        expected = np.interp(x, [-gamma, 1 + gamma], [0, 1])
    else:
        expected = np.interp(x, [0, 1], [gamma, 1 - gamma])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(warp(x, gamma), expected, atol=1e-12)
    assert found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize("gamma", (-0.5, -0.3, 0.25))
@pytest.mark.parametrize("noisy", (0, 1))
def test_a_warp_is_of_input_and_target_after_dequantisation(
    gamma: float, noisy: int
) -> None:
    """As a plain model is, of images that were warped before."""
    loss = LOSSES["bce"]
    name = f"vae(body=mlp, dequantise={noisy}, warp={gamma})"
    own, plain = network(name), network()
    params, key = parameters(plain, loss), jax.random.key(4)
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    if noisy:
        smooth = dequantise(jax.random.split(key, 3)[2], images)
    else:
        smooth = images
    found = objective(own, loss, params, {}, images, key)
    expected = objective(plain, loss, params, {}, warp(smooth, gamma), key)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_score_is_of_warped_images() -> None:
    """Metrics, codes, the curve's error and the terms, as of images warped before."""
    from lossjax.training.scoring import _code, _score

    # At -0.5 the warp of grey levels is one of grey levels: black and white.
    loss = LOSSES["bce"]
    shape = Shape((8, 8, 1), latent_dim=UNITS, hidden=(6,))
    own, plain = build("vae(body=mlp, warp=-0.5)", shape), build("vae(body=mlp)", shape)
    grey = np.random.default_rng(3).integers(0, 256, (8, *shape.image), np.uint8)
    black_white = np.where(grey >= 128, 255, 0).astype(np.uint8)
    flat = weights(plain, loss)
    zero = jnp.int32(0)
    for images, net in ((grey, own), (black_white, plain)):
        scores, _ = _score(net, (loss,), flat, zero, images, zero)
        terms = _terms(net, loss, flat, images, zero, zero)
        found = {
            "code": _code(net, flat, images),
            "scores": jnp.stack(list(scores.values())),
            "value": terms.value,
            "mean": terms.mean,
            "curve": jnp.stack(
                progress_of(
                    net,
                    loss,
                    flat,
                    jax.tree.map(jnp.asarray, blocks_of(images)),
                    jnp.int32(1),
                )
            ),
        }
        if net is own:
            kept = found
    for name, value in found.items():
        np.testing.assert_allclose(kept[name], value, rtol=1e-5, err_msg=name)


def test_clip_holds_raw_output_and_the_gradient() -> None:
    clip = 0.01
    own, plain = network(f"vae(body=mlp, clip={clip})"), network()
    loss = LOSSES["bce"]
    params = parameters(plain, loss, scale=4.0)
    code = jax.random.normal(jax.random.key(2), (50, UNITS))
    free, held = plain.decode(params, code), own.decode(params, code)
    bound = math.log(0.99 / 0.01)
    assert own.latent is not None and own.latent.bound == pytest.approx(bound)
    beyond = np.abs(free) > bound
    assert 0.1 < beyond.mean() < 0.9
    np.testing.assert_allclose(held, np.clip(free, -bound, bound), rtol=1e-6)
    p = np.asarray(loss.read_out(held))
    assert p.min() == pytest.approx(clip) and p.max() == pytest.approx(1 - clip)

    def slopes(net: Network) -> np.ndarray:
        """Of each image's sum of raw output over the pixels within, or beyond."""
        each = [
            jax.grad(lambda c, part=part: (net.decode(params, c) * part).sum())(code)
            for part in (~beyond, beyond)
        ]
        return np.stack(each)

    within, outside = slopes(own)
    np.testing.assert_allclose(within, slopes(plain)[0], rtol=1e-5)
    assert np.abs(within).max() > 0 and np.abs(outside).max() == 0


def test_the_logit_of_a_matched_mean_is_that_of_a_search() -> None:
    from lossjax.losses.bernoulli import matched_logit
    from lossjax.losses.claims import langevin_inverse

    near = np.array([0.0, 1e-6, 1e-3, 0.03])
    z = np.concatenate([-near, near, np.linspace(-18, 18, 901)]).astype(np.float32)
    found = np.asarray(jax.jit(matched_logit)(jnp.asarray(z)), np.float64)
    p = 1 / (1 + np.exp(np.abs(z.astype(np.float64))))
    wanted = np.sign(z) * -langevin_inverse(p)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_bounds_of_the_continuous_law_by_hand() -> None:
    """Same code, same draw; only what the output stands for differs."""
    net = network("vae(body=mlp, dequantise=1, clip=0.0001)")
    bce, law = LOSSES["bce"], LOSSES["continuous_bernoulli"]
    terms = scored(net, bce)
    elbo, elbo_cb, matched = (
        LATENT_METRICS[name].fn(terms, facts(net, bce))[0]
        for name in ("elbo", "elbo_cb", "elbo_cb_mean")
    )
    _, code_key, level_key = jax.random.split(probe_key(0), 3)
    images = dequantise(level_key, jnp.asarray(images_u8(), jnp.float32) / 255)
    params = parameters(net, bce)
    code = net.encode(params, images)
    p = np.float64(bce.read_out(net.decode(params, sample(code_key, code))))
    log_c = np.log(2 * np.arctanh(1 - 2 * p) / (1 - 2 * p)).sum((1, 2, 3))
    np.testing.assert_allclose(elbo_cb - elbo, log_c, rtol=1e-4)

    from lossjax.losses.claims import langevin_inverse

    assert net.latent is not None
    bound = net.latent.bound
    free = langevin_inverse(p)
    assert (np.abs(free) > bound).any(), "the clip of lambda is put to the test"
    z = np.clip(free, -bound, bound)
    y = np.float64(images)
    density = y * z - np.log(np.expm1(z) / z)
    price = np.float64(divergence(code)).sum(1)
    np.testing.assert_allclose(matched, density.sum((1, 2, 3)) - price, rtol=1e-4)
    # A model of that law is its own judge, by either reading.
    own = scored(net, law)
    every = [
        LATENT_METRICS[name].fn(own, facts(net, law))[0]
        for name in ("elbo", "elbo_cb", "elbo_cb_mean")
    ]
    np.testing.assert_array_equal(every[1], every[0])
    np.testing.assert_array_equal(every[2], every[0])
    # One logit a channel is needed.
    other = LOSSES["mse_linear"]
    none = LATENT_METRICS["elbo_cb"].fn(scored(net, other), facts(net, other))
    assert np.isnan(none).all()


def test_warped_pixels_are_no_grey_levels_and_have_no_bits() -> None:
    facts_of = Facts("density", 1.0, 1.0, 16, np.array([0.1]), warped=True)
    for name in ("bits_per_dim", "bits_gaussian"):
        assert np.isnan(LATENT_METRICS[name].fn(terms_of(), facts_of)).all()


def test_a_loss_whose_channels_the_decoder_lacks_is_refused() -> None:
    loss, net = LOSSES["gaussian_pixel"], network()
    params = parameters(net, LOSSES["bce"])
    images = jnp.zeros((2, *IMAGE))
    with pytest.raises(ValueError, match="gaussian_pixel: raw .* must be .* 2 x C"):
        objective(net, loss, params, {}, images, jax.random.key(0))


@pytest.mark.parametrize(
    "cycles, rise, shares",
    [
        (1, 0.5, [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1]),
        (3, 0.75, [0, 1 / 3, 2 / 3, 1, 0, 1 / 3, 2 / 3, 1, 0, 1 / 3]),
    ],
)
def test_the_weight_of_kl_rises_as_asked(cycles: int, rise: float, shares) -> None:
    """A step is that of a model whose beta is the formula's at that step."""
    assert Settings(10, 8).kl_share(jnp.int32(3)) is None
    plain = Settings(10, 8, optimiser="sgd", schedule="constant")
    settings = dataclasses.replace(plain, kl_cycles=cycles, kl_rise=rise)
    found = [settings.kl_share(jnp.int32(step)) for step in range(10)]
    np.testing.assert_allclose(found, shares, rtol=1e-6)
    loss, key = LOSSES["mse"], jax.random.key(2)
    images = jnp.asarray(images_u8(8), jnp.float32) / 255

    def stepped(settings: Settings, beta: float) -> State:
        net = network(f"vae(body=mlp, beta={beta:.9g})")
        recipe = Recipe(net, settings, loss, jnp.float32(0.5), key)
        state = initial_state(OPTIMISERS["sgd"](), weights(net, loss))
        batch = Batch(jnp.int32(9), images, jnp.arange(8))
        return jax.jit(functools.partial(train_step, recipe))(state, batch, key)

    risen, fixed = stepped(settings, 8), stepped(plain, 8 * shares[9])
    assert risen.train_total == pytest.approx(float(fixed.train_total), rel=1e-6)
    np.testing.assert_allclose(risen.weights, fixed.weights, rtol=1e-5, atol=1e-6)
    whole = stepped(plain, 8).train_total
    assert (abs(float(risen.train_total - whole)) > 1e-3) == (shares[9] < 1)


@pytest.mark.slow
def test_side_by_side_the_weight_of_kl_rises_alike() -> None:
    settings, loss, found = Settings(4, 8, kl_cycles=1), LOSSES["mse"], []
    for mapping in ("map", "vmap"):
        layout = Layout(1, 1, mapping)
        program = Program(
            network("vae(body=linear, beta=16)"), settings, layout, make_mesh(layout)
        )
        batched = stack([Replica(0, 1e-2, loss, np.zeros(1), True)], layout)
        data = images_u8(), blocks_of(images_u8(), 8)
        made = program.compile(batched, *data)
        state, _ = made.advance(batched, made.init(batched), *data, 0, 4, 1)
        found.append(np.asarray(state.train_total))
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("cycles", [0, 2])
def test_split_calls_are_bitwise_one_call_and_the_seed_draws_the_codes(
    cycles: int,
) -> None:
    loss, net = LOSSES["bce"], network()
    settings = Settings(6, 8, kl_cycles=cycles)
    program = Program(net, settings, ONE, make_mesh(ONE))
    data = jax.device_put((images_u8(), blocks_of(images_u8(), 8)))

    def run(seed: int, stops: tuple[int, ...]):
        one = Replica(seed, 1e-2, loss, loss.start(np.array([0.4])), True)
        batched = stack([one], ONE)
        made = program.compile(batched, *data)
        state, begin = made.init(batched), 0
        for stop in stops:
            state, progress = made.advance(batched, state, *data, begin, stop, 3)
            begin = stop
        return np.asarray(state.weights), float(progress.validation_loss[0])

    whole, value = run(0, (6,))
    parts, again = run(0, (1, 4, 6))
    np.testing.assert_array_equal(whole, parts)
    assert value == again
    other, _ = run(1, (6,))
    assert not np.array_equal(whole, other)
    # The tuning criterion is the objective, not the reconstruction.
    params = parameters_of(net, whole[0])
    images = jnp.asarray(images_u8(), jnp.float32) / 255
    paid = [
        objective(net, loss, params, {}, images[k : k + 8], probe_key(i))
        for i, k in enumerate(range(0, 24, 8))
    ]
    assert value == pytest.approx(float(jnp.concatenate(paid).mean()), rel=1e-5)


def test_pictures_are_the_read_outs_of_codes() -> None:
    loss, net = LOSSES["continuous_bernoulli"], network()
    scorer = VariationalScorer(net, ONE, make_mesh(ONE))
    one = Replica(0, 1e-2, loss, loss.start(np.array([0.4])), True)
    codes = np.random.default_rng(0).standard_normal((1, 5, UNITS)).astype(np.float32)
    shown = scorer.pictures(stack([one], ONE), weights(net, loss)[None], codes)
    direct = loss.read_out(net.decode(parameters(net, loss), codes[0]))
    np.testing.assert_allclose(np.asarray(shown[0]) / 255, direct, atol=0.003)


def test_a_variational_program_lowers_for_tpus() -> None:
    """For GPUs every config is, its variational models too."""
    layout = Layout(2, 4, "vmap")
    shape = Shape((8, 8, 1), latent_dim=UNITS, width=(4, 8))
    loss = LOSSES["continuous_bernoulli"]
    made = Program(
        build("vae(noise=masking)", shape), Settings(6, 8), layout, make_mesh(layout)
    )
    batched = stack([Replica(0, 1e-2, loss, np.zeros(1), True)], layout)
    images = np.zeros((24, 8, 8, 1), np.uint8)
    text = made.export(batched, images, blocks_of(images, 8), "tpu")
    assert "collective" not in text


@pytest.mark.parametrize(
    "text, name",
    [
        ("vae", "vae"),
        ("vae(beta=1.0, body='conv')", "vae"),
        ("vae(amount=0.5, noise=masking, body=mlp)", None),
        ("vae(free_bits=0.25)", "vae(free_bits=0.25)"),
    ],
)
def test_names_of_variational_models(text: str, name: str | None) -> None:
    whole = 'vae(body="mlp", noise="masking", amount=0.5)'
    assert autoencoders.resolve(text).name == (name or whole)
    assert autoencoders.resolve(
        autoencoders.resolve(text).name
    ) == autoencoders.resolve(text)
