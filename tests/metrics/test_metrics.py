"""Every row of METRICS and CODE_METRICS: contract, and values from other libraries."""

import functools
from collections.abc import Callable, Iterator

import contributing
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

from lossjax import (
    CODE_METRICS,
    LATENT_METRICS,
    METRICS,
    CodeMetric,
    LatentMetric,
    Metric,
)
from lossjax.metrics import images as yardsticks

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
every_code_metric = pytest.mark.parametrize(
    "metric", CODE_METRICS.values(), ids=CODE_METRICS.keys()
)

PERFECT = {"ssim": 1.0, "ms_ssim": 1.0, "psnr": 100.0}  # 0 where nothing is said


@pytest.fixture(autouse=True)
def _strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


@functools.cache
def compiled(metric: Metric) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return jax.jit(metric.fn)


def images(seed: int = 0, size: int = 24) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(seed)
    target = np.rint(255 * rng.uniform(size=(3, size, size, 3))) / 255
    image = np.clip(target + rng.normal(scale=0.1, size=target.shape), 0, 1)
    return jnp.asarray(image, jnp.float32), jnp.asarray(target, jnp.float32)


@every_metric
def test_contract(metric: Metric) -> None:
    image, target = images()
    score = compiled(metric)(image, target)
    assert score.shape == (3,) and score.dtype == jnp.float32
    alone = compiled(metric)(image[:1], target[:1])
    assert alone.shape == (1,)
    np.testing.assert_allclose(alone, score[:1], rtol=1e-5)
    assert (
        jax.eval_shape(
            metric.fn, image.astype(jnp.bfloat16), target.astype(jnp.bfloat16)
        ).dtype
        == jnp.bfloat16
    )
    with pytest.raises(TypeError, match=f"{metric.name}: image must be floating"):
        metric.fn((255 * image).astype(jnp.uint8), target)
    with pytest.raises(ValueError, match="metrics never broadcast"):
        metric.fn(image[:1], target)


@every_metric
def test_direction_and_margin(metric: Metric) -> None:
    image, target = images()
    near, far = target + 0.1 * (image - target), image
    fn = compiled(metric)
    better, worse = fn(near, target), fn(far, target)
    if metric.name == "sharpness_error":
        # Noise is too sharp, half of the contrast too soft: both lose.
        soft = fn(0.5 + (target - 0.5) / 2, target)
        assert (soft > fn(target, target)).all()
    assert ((better < worse) == (metric.direction == "lower")).all()
    assert metric.direction in ("lower", "higher")
    perfect = fn(target, target)
    if metric.name not in ("bce", "excess_bce"):
        ideal = PERFECT.get(metric.name, 0.0)
        step = "CONTRIBUTING.md, A metric, step 2"
        np.testing.assert_allclose(perfect, ideal, atol=1e-6, err_msg=step)
    assert metric.margin.value > 0


@every_metric
@pytest.mark.parametrize("shade", [0.0, 1 / 255, 0.5, 1.0])
def test_flat_images_have_finite_scores(metric: Metric, shade: float) -> None:
    flat = jnp.full((1, 8, 8, 1), shade)
    for image in (flat, jnp.zeros_like(flat), jnp.ones_like(flat)):
        assert np.isfinite(compiled(metric)(image, flat)).all()


def test_the_example_for_contributors_is_a_whole_metric() -> None:
    function, row = contributing.example("A metric")
    names = dict(vars(yardsticks))
    exec(function, names)
    (metric,) = eval(f"({row})", names)
    test_contract(metric)
    test_direction_and_margin(metric)
    test_flat_images_have_finite_scores(metric, 0.5)
    image, target = images()
    worst = np.abs(np.asarray(image) - np.asarray(target)).max(axis=(1, 2, 3))
    np.testing.assert_array_equal(metric.fn(image, target), worst)


def test_against_other_libraries() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    image, target = images()
    a, b = np.asarray(image, np.float64), np.asarray(target, np.float64)
    expected = {
        "psnr": [
            peak_signal_noise_ratio(y, x, data_range=1)
            for x, y in zip(a, b, strict=True)
        ],
        "mse": ((a - b) ** 2).mean((1, 2, 3)),
        "mae": abs(a - b).mean((1, 2, 3)),
    }
    for name, values in expected.items():
        found = compiled(METRICS[name])(image, target)
        np.testing.assert_allclose(found, values, rtol=2e-5, err_msg=name)


def test_bce_is_the_expected_log_loss_of_the_clipped_image() -> None:
    image, target = images()
    p = np.clip(np.asarray(image[0], np.float64).ravel(), 1 / 510, 509 / 510)
    y = np.asarray(target[0], np.float64).ravel()
    # A pixel of intensity y is white with weight y and black with weight 1 - y.
    labels = np.repeat([1, 0], p.size)
    value = log_loss(labels, np.tile(p, 2), sample_weight=np.concatenate([y, 1 - y]))
    np.testing.assert_allclose(METRICS["bce"].fn(image, target)[0], value, rtol=1e-5)
    entropy = log_loss(labels, np.tile(y, 2), sample_weight=np.concatenate([y, 1 - y]))
    excess = METRICS["excess_bce"].fn(image, target)[0]
    np.testing.assert_allclose(excess, value - entropy, rtol=1e-4)


def test_sharpness_error_of_half_the_contrast() -> None:
    """A checkerboard of half the contrast has a quarter of its energy."""
    board = jnp.asarray(np.indices((16, 16)).sum(0) % 2, jnp.float32)
    board = board.reshape(1, 16, 16, 1)
    half = 0.25 + board / 2
    fn = METRICS["sharpness_error"].fn
    for image, target in ((half, board), (board, half)):
        np.testing.assert_allclose(fn(image, target), np.log(4), rtol=1e-4)


def test_sharpness_error_by_loops() -> None:
    """The energy by its definition, with pixels left out and without."""
    image, target = images(size=5)
    seen = np.random.default_rng(4).uniform(size=image.shape) > 0.2
    for mask in (np.ones_like(seen), seen):
        energies = []
        for x in (image, target):
            pad = [(0, 0), (1, 1), (1, 1), (0, 0)]
            wide = np.pad(np.asarray(x, np.float64), pad)
            there = np.pad(mask, pad)
            total = np.zeros(3)
            for b, i, j, c in np.argwhere(mask):
                around = [(i + 2, j + 1), (i, j + 1), (i + 1, j + 2), (i + 1, j)]
                bend = sum(
                    wide[b, k, n, c] - wide[b, i + 1, j + 1, c]
                    for k, n in around
                    if there[b, k, n, c]
                )
                total[b] += bend**2
            energies.append(total / mask.sum((1, 2, 3)) + 510.0**-2)
        found = METRICS["sharpness_error"].fn(
            image, target, weights=jnp.asarray(mask, jnp.float32)
        )
        expected = abs(np.log(energies[0] / energies[1]))
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@every_metric
def test_masked_pixels_are_not_there(metric: Metric) -> None:
    image, target = images(size=8)
    mask = jnp.ones(target.shape).at[:, 2, 3].set(0)

    @jax.jit
    def both(x: jax.Array, y: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        slope = jax.grad(lambda x: jnp.sum(metric.fn(x, y, weights=w)))(x)
        return metric.fn(x, y, weights=w), slope

    even, _ = both(image, target, jnp.full_like(mask, 0.5))
    np.testing.assert_allclose(
        even, compiled(metric)(image, target), rtol=1e-5, atol=1e-6
    )
    value, slope = both(image, target, mask)
    assert not np.allclose(value, even, rtol=1e-5)
    assert not slope[:, 2, 3].any()
    for bad in (np.nan, np.inf, -np.inf):
        for spoiled in (
            (image.at[:, 2, 3].set(bad), target),
            (image, target.at[:, 2, 3].set(bad)),
        ):
            again = both(*spoiled, mask)
            np.testing.assert_allclose(again[0], value, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(again[1], slope, rtol=1e-5, atol=1e-9)


@every_metric
def test_an_empty_batch_and_wide_numpy(metric: Metric) -> None:
    image, target = images(size=8)
    assert metric.fn(image[:0], target[:0]).shape == (0,)
    # Warnings are errors here: none about a dtype that nobody asked for.
    wide = (np.asarray(x, np.float64) for x in (image, target))
    found = metric.fn(*wide)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(
        found, compiled(metric)(image, target), rtol=1e-5, atol=1e-6
    )


def test_which_metrics_only_restate_another() -> None:
    derived = {name: metric.derived_from((28, 28, 1)) for name, metric in all_rows()}
    assert {name: base for name, base in derived.items() if base} == {
        "psnr": "mse",
        "bce": "excess_bce",
    }
    assert METRICS["ms_ssim"].derived_from((8, 40, 3)) == "ssim"
    for name, metric in all_rows():
        base = metric.derived_from((8, 8, 1))
        assert not base or METRICS[base].derived_from((8, 8, 1)) == "", name


def all_rows() -> list[tuple[str, Metric | CodeMetric | LatentMetric]]:
    return [*METRICS.items(), *CODE_METRICS.items(), *LATENT_METRICS.items()]


@pytest.mark.parametrize("side", [1, 8, 15, 16, 28])
def test_ms_ssim_is_called_derived_where_it_is_the_same_number(side: int) -> None:
    image, target = images(size=side)
    same = (compiled(METRICS["ssim"])(image, target)) == (
        compiled(METRICS["ms_ssim"])(image, target)
    )
    assert same.all() == (METRICS["ms_ssim"].derived_from(target.shape[1:]) == "ssim")


def digits() -> tuple[np.ndarray, ...]:
    data = load_digits()
    codes = data.data.astype(np.float32) @ np.random.default_rng(0).normal(
        size=(64, 12)
    ).astype(np.float32)
    labels = data.target.astype(np.int32)
    return codes[:1200], labels[:1200], codes[1200:], labels[1200:]


@every_code_metric
def test_code_metric_contract(metric: CodeMetric) -> None:
    arrays = [jnp.asarray(x) for x in digits()]
    fast = jax.jit(metric.fn)
    found = fast(*arrays)
    assert found.shape == () and found.dtype == jnp.float32
    np.testing.assert_allclose(metric.fn(*arrays), found, atol=0.002)
    assert fast(*arrays) == found
    shuffled = np.random.default_rng(1).permutation(1200)
    again = fast(arrays[0][shuffled], arrays[1][shuffled], *arrays[2:])
    np.testing.assert_allclose(again, found, atol=0.01)
    with pytest.raises(TypeError, match="train_labels must be integer"):
        metric.fn(arrays[0], arrays[0][:, 0], *arrays[2:])
    with pytest.raises(ValueError, match="must be \\(n, d\\) and \\(n,\\)"):
        metric.fn(arrays[0], arrays[1][:5], *arrays[2:])


@every_code_metric
def test_a_reader_reads_all_codes_alike(metric: CodeMetric) -> None:
    """Fitted once, it gives two splits at once what each is given alone."""
    train, labels, codes, truth = (jnp.asarray(x) for x in digits())
    right = metric.reader(train, labels)(codes) == truth
    for part in (slice(0, 100), slice(100, None)):
        alone = metric.fn(train, labels, codes[part], truth[part])
        np.testing.assert_allclose(jnp.mean(right[part]), alone, atol=1e-6)


def test_accuracies_agree_with_scikit_learn() -> None:
    train, labels, test, truth = digits()
    neighbours = KNeighborsClassifier(15).fit(train, labels).score(test, truth)
    found = CODE_METRICS["knn_accuracy"].fn(*map(jnp.asarray, digits()))
    np.testing.assert_allclose(found, neighbours, atol=0.012)
    mean, spread = train.mean(0), train.std(0)
    model = LogisticRegression(C=1 / (1e-4 * len(train)), max_iter=5000)
    model.fit((train - mean) / spread, labels)
    probe = model.score((test - mean) / spread, truth)
    found = CODE_METRICS["probe_accuracy"].fn(*map(jnp.asarray, digits()))
    np.testing.assert_allclose(found, probe, atol=0.012)


def test_probe_says_so_when_a_traced_label_is_too_large() -> None:
    codes, labels = jnp.eye(4), jnp.asarray([0, 1, 2, 200])
    fn = CODE_METRICS["probe_accuracy"].fn
    assert np.isnan(jax.jit(fn)(codes, labels, codes, labels))
    assert fn(codes, labels, codes, labels) == 1
