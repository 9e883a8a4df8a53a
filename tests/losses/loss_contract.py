"""What every row of LOSSES must do, one function a clause; each fails by assertion."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import Loss, Parameter, platform
from lossjax.certificates.probe import LOGITS

TARGETS = (0.0, 1 / 255, 0.5, 1.0)
SECOND = (-104.0, -4.0, 0.0, 4.0, 104.0)


def compiled(function: Callable) -> Callable:
    """Compiled in half the time, to other last bits: where only the loss is asked of,
    and not what XLA makes of it."""
    options = platform.compiler_options(jax.devices()[0], seldom=True)
    return jax.jit(function, compiler_options=options)


@functools.cache
def scored(loss: Loss) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compiled value (batch,) and gradient of the sum over the batch."""

    def both(raw: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        gradient = jax.grad(lambda r: jnp.sum(loss.fn(r, target)))(raw)
        return loss.fn(raw, target), gradient

    return jax.jit(both)


def side(loss: Loss) -> int:
    return 1 if loss.tile_invariant else 8


def pictures(loss: Loss, count: int = 3, wide: int = 8) -> tuple[jax.Array, jax.Array]:
    """Random raw output and 8-bit targets."""
    raw_key, key = jax.random.split(jax.random.key(7))
    target = jnp.round(255 * jax.random.uniform(key, (count, 8, wide, 1))) / 255
    shape = (count, 8, wide, loss.channels)
    return 2 * jax.random.normal(raw_key, shape), target


def extremes(loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Every logit on every target, as constant images; second blocks too."""
    seconds = SECOND if loss.channels > 1 else (0.0,)
    cases = [
        (z, second, y)
        for z in (*LOGITS, "equal")
        for second in seconds
        for y in TARGETS
    ]
    raws, targets = [], []
    for z, second, y in cases:
        if z == "equal":
            first = float(np.log(y / (1 - y))) if 0 < y < 1 else 16.0 * (2 * y - 1)
        else:
            first = float(z)
        if loss.channels <= 2:
            blocks = np.array([first, second][: loss.channels])
        else:
            # A law on levels: one spike of this height on a slope.
            blocks = np.linspace(-second, second, loss.channels)
            blocks[3] = first
        raws.append(np.broadcast_to(blocks, (side(loss), side(loss), loss.channels)))
        targets.append(np.full((side(loss), side(loss), 1), y))
    return np.array(raws), np.array(targets)


def keeps_shape_and_dtype(loss: Loss) -> None:
    raw, target = pictures(loss)
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        value = jax.eval_shape(loss.fn, raw.astype(dtype), target.astype(dtype))
        assert value.shape == (3,), value.shape
        assert value.dtype == dtype, value.dtype
        image = jax.eval_shape(loss.read_out, raw.astype(dtype))
        assert image.shape == target.shape and image.dtype == dtype
        floor = jax.eval_shape(loss.floor, target.astype(dtype))
        assert floor.shape == (3,) and floor.dtype == dtype


def scores_images_one_by_one(loss: Loss) -> None:
    rng = np.random.default_rng(3)
    shape = extremes(loss)[0].shape
    raw = rng.normal(size=shape).astype(np.float32)
    target = rng.uniform(size=(*shape[:-1], 1)).astype(np.float32)
    value, gradient = scored(loss)(jnp.array(raw), jnp.array(target))
    # Not a permutation of the batch: a batch mean would not notice one.
    raw[1:], target[1:] = raw[:-1] / 2, target[:-1] / 2
    again, slope = scored(loss)(jnp.array(raw), jnp.array(target))
    equal = np.allclose(value[0], again[0], rtol=2e-6)
    assert equal == loss.per_image, (value[0], again[0])
    if loss.per_image:
        np.testing.assert_allclose(gradient[0], slope[0], rtol=2e-5, atol=1e-9)


def does_not_depend_on_image_size(loss: Loss) -> None:
    raw, target = pictures(loss)
    tiled = [jnp.concatenate([x, x], axis=2) for x in (raw, target)]
    once, twice = (compiled(loss.fn)(*pair) for pair in ((raw, target), tiled))
    equal = np.allclose(once, twice, rtol=2e-6)
    assert equal == loss.tile_invariant, (once, twice)


def is_finite_where_the_exact_value_fits(loss: Loss) -> None:
    """Never nan; inf only where float64 says that float32 cannot hold the number."""
    raw, target = extremes(loss)
    assert {round(abs(z)) for z in LOGITS} >= set(range(20, 105)), "a gap"
    with jax.enable_x64(True):
        exact = [np.asarray(x) for x in scored(loss)(jnp.array(raw), jnp.array(target))]
    assert not any(np.isnan(x).any() for x in exact), "nan in float64"
    limit = float(np.finfo(np.float32).max)
    for dtype in (jnp.float32, jnp.bfloat16):
        found = scored(loss)(jnp.array(raw, dtype), jnp.array(target, dtype))
        for name, low, high in zip(("value", "gradient"), found, exact, strict=True):
            low = np.asarray(low, np.float64)
            assert not np.isnan(low).any(), f"{name} is nan in {dtype.__name__}"
            # Room for sums on the way to a number that only just fits.
            must = np.abs(high) < limit / 1e3
            assert np.isfinite(low[must]).all(), f"{name} overflows in {dtype.__name__}"
            out = ~np.isfinite(low)
            assert (np.sign(low[out]) == np.sign(high[out])).all(), f"sign of {name}"


def rounds_once_in_bfloat16(loss: Loss) -> None:
    raw, target = (jnp.array(x, jnp.bfloat16) for x in extremes(loss))
    low = scored(loss)(raw, target)
    high = scored(loss)(raw.astype(jnp.float32), target.astype(jnp.float32))
    for name, short, long in zip(("value", "gradient"), low, high, strict=True):
        # Half a unit in the last of 8 bits: everything inside is float32.
        exact = np.where(np.abs(long) < 1e-37, 0, np.clip(long, -3e38, 3e38))
        found = np.clip(np.asarray(short, np.float32), -3e38, 3e38)
        np.testing.assert_allclose(found, exact, rtol=2**-8, atol=1e-37, err_msg=name)


def gradient_is_that_of_the_value(loss: Loss) -> None:
    shape = extremes(loss)[0].shape
    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        raw = jnp.asarray(2 * rng.normal(size=shape))
        target = jnp.asarray(rng.integers(0, 256, (*shape[:-1], 1)) / 255)
        direction = jnp.asarray(rng.normal(size=shape))
        _, gradient = scored(loss)(raw, target)
        claimed = jnp.sum(gradient * direction)
        step = 1e-6
        up, down = (
            jnp.sum(scored(loss)(raw + s * step * direction, target)[0])
            for s in (1, -1)
        )
        found = (up - down) / (2 * step)
        equal = np.allclose(claimed, found, rtol=1e-5, atol=1e-8)
        assert equal != loss.own_gradient, (claimed, found)


def is_the_same_eager_and_mapped(loss: Loss) -> None:
    raw, target = pictures(loss)

    def along(r: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda x: loss.fn(x, t), (r,), (r,))

    value, tangent = along(raw, target)
    pairs = (jnp.stack([raw, raw / 2]), jnp.stack([target, target]))
    mapped, slopes = compiled(jax.vmap(along))(*pairs)
    np.testing.assert_allclose(mapped[0], value, rtol=3e-6, atol=1e-7)
    np.testing.assert_allclose(slopes[0], tangent, rtol=1e-4, atol=1e-6)
    assert not np.allclose(mapped[1], value, rtol=1e-3)


def ignores_masked_pixels(loss: Loss) -> None:
    raw, target = pictures(loss)
    plain = compiled(loss.fn)(raw, target)

    def both(raw: jax.Array, y: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        gradient = jax.grad(lambda r: jnp.sum(loss.fn(r, y, weights=w)))(raw)
        return loss.fn(raw, y, weights=w), gradient

    weighted = compiled(both)
    half = jnp.full(target.shape, 0.5)
    even, _ = weighted(raw, target, half)
    np.testing.assert_allclose(even, plain, rtol=3e-6, atol=1e-7)
    mask = jnp.ones(target.shape).at[:, 2, 3].set(0)
    uneven, _ = weighted(raw, target, 1 + mask)
    assert not np.allclose(uneven, plain, rtol=1e-5, atol=0)
    value, gradient = weighted(raw, target, mask)
    assert not gradient[:, 2, 3].any() and gradient[:, 2, 4].any()
    for bad in (11.0, np.nan, np.inf, -np.inf):
        for spoiled in (
            (raw.at[:, 2, 3].set(bad), target),
            (raw, target.at[:, 2, 3].set(bad)),
        ):
            again, slope = weighted(*spoiled, mask)
            np.testing.assert_allclose(again, value, rtol=2e-6, err_msg=f"{bad}")
            np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=1e-9)
    floors = compiled(loss.floor)(target.at[:, 2, 3].set(np.nan), weights=mask)
    assert not np.isnan(floors).any()
    empty, _ = weighted(raw, target, jnp.ones(target.shape).at[1].set(0))
    assert empty[1] == 0 and np.isfinite(empty).all()


def takes_an_empty_batch(loss: Loss) -> None:
    raw, target = (x[:0] for x in pictures(loss))
    assert loss.fn(raw, target).shape == (0,)
    assert loss.fn(raw, target, weights=jnp.ones_like(target)).shape == (0,)
    assert loss.read_out(raw).shape == target.shape
    assert loss.floor(target).shape == (0,)


def takes_numpy_of_any_width(loss: Loss) -> None:
    """Warnings are errors here: none about a dtype that nobody asked for."""
    raw, target = (np.asarray(x, np.float64) for x in pictures(loss))
    value = loss.fn(raw, target, weights=np.ones_like(target))
    np.testing.assert_allclose(value, loss.fn(*pictures(loss)), rtol=3e-6, atol=1e-7)
    assert loss.read_out(raw).dtype == loss.floor(target).dtype == value.dtype
    assert value.dtype == jnp.float32


def starts_where_it_says(loss: Loss) -> None:
    mean = np.array([0.0, 0.02, 0.31, 0.5, 0.97, 1.0])
    start = loss.start(mean)
    assert start.shape == (6 * loss.channels,)
    image = loss.read_out(jnp.asarray(start, jnp.float32).reshape(1, 1, 1, -1))
    inside = np.clip(mean, 1 / 510, 509 / 510)
    np.testing.assert_allclose(np.ravel(image), inside, rtol=2e-5, atol=1e-6)


def reads_out_intensities(loss: Loss) -> None:
    raw, _ = extremes(loss)
    image = np.asarray(compiled(loss.read_out)(jnp.asarray(raw, jnp.float32)))
    assert np.isfinite(image).all()
    assert image.min() >= 0 and image.max() <= 1 + 1e-6


def refuses_what_does_not_fit(loss: Loss) -> None:
    raw, target = pictures(loss)
    wrong = (
        (raw.astype(jnp.int32), target, TypeError, "raw must be floating, got int32"),
        (
            raw,
            target.astype(jnp.uint8),
            TypeError,
            "target must be floating, got uint8",
        ),
        (raw[:1], target, ValueError, "losses never broadcast"),
        (raw[:, :, :1], target, ValueError, "losses never broadcast"),
        (jnp.repeat(raw, 3, axis=-1), target, ValueError, "losses never broadcast"),
        (raw[0], target[0], ValueError, "must be (batch, height, width"),
    )
    for bad_raw, bad_target, kind, words in wrong:
        try:
            jax.eval_shape(loss.fn, bad_raw, bad_target)
        except kind as error:
            assert words in str(error) and loss.family in str(error), error
            assert "\n" not in str(error)
        else:
            raise AssertionError(f"accepted {bad_raw.shape} {bad_raw.dtype}: {words}")


def one_program_serves_all_hyper(loss: Loss) -> None:
    if not loss.parameters:
        return
    raw, target = pictures(loss)
    values = [
        {p.name: v for p, v in zip(loss.parameters, case, strict=True)}
        for case in zip(*(_sample(p) for p in loss.parameters), strict=True)
    ]
    members = [_with_hyper(loss, case) for case in values]
    stacked = jax.tree.map(
        lambda *xs: jnp.stack([jnp.float32(x) for x in xs]), *members
    )

    def told(each: Loss) -> jax.Array:
        # What a hyperparameter moves: of a gradient that is made, that alone.
        if not loss.own_gradient:
            return each.fn(raw, target)
        return jax.grad(lambda r: jnp.sum(each.fn(r, target)))(raw)

    together = compiled(jax.vmap(told))(stacked)
    one = compiled(told)
    alone = [one(member) for member in members]
    assert one._cache_size() == 1, "a hyperparameter is not traced"
    np.testing.assert_allclose(together, np.stack(alone), rtol=3e-6, atol=1e-7)
    assert not np.allclose(alone[0], alone[2], rtol=1e-4)


def _sample(parameter: Parameter) -> tuple[float, float, float]:
    low, default, high = parameter.low, parameter.default, parameter.high
    return max(low, default / 4), default, min(high, default * 2 + 0.1)


def _with_hyper(loss: Loss, hyper: dict[str, float]) -> Loss:
    return dataclasses.replace(loss, hyper=hyper)


CLAUSES: tuple[Callable[[Loss], None], ...] = (
    keeps_shape_and_dtype,
    scores_images_one_by_one,
    does_not_depend_on_image_size,
    is_finite_where_the_exact_value_fits,
    gradient_is_that_of_the_value,
    is_the_same_eager_and_mapped,
    rounds_once_in_bfloat16,
    ignores_masked_pixels,
    takes_an_empty_batch,
    takes_numpy_of_any_width,
    starts_where_it_says,
    reads_out_intensities,
    refuses_what_does_not_fit,
    one_program_serves_all_hyper,
)
# The shell around the kernels answers these: masks, means, empty batches, dtypes.
OF_KINDS = (
    does_not_depend_on_image_size,
    ignores_masked_pixels,
    takes_an_empty_batch,
    takes_numpy_of_any_width,
)


def kind(loss: Loss) -> object:
    """What the shell tells losses apart by; a kernel that takes masks is its own."""
    alike = loss.channels, loss.link, bool(loss.hyper), bool(loss.scalars)
    return loss.family if loss.whole else alike


COSTLY = (
    one_program_serves_all_hyper,
    does_not_depend_on_image_size,
    is_the_same_eager_and_mapped,
    ignores_masked_pixels,
    takes_an_empty_batch,
    takes_numpy_of_any_width,
)
