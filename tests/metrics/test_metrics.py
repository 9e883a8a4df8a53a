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

from lossjax import CODE_METRICS, METRICS, CodeMetric, Metric
from lossjax.losses.structural import scale_count, window_size
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
    if metric.name == "sharpness":
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
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    image, target = images()
    a, b = np.asarray(image, np.float64), np.asarray(target, np.float64)
    expected = {
        "psnr": [
            peak_signal_noise_ratio(y, x, data_range=1)
            for x, y in zip(a, b, strict=True)
        ],
        "ssim": [
            structural_similarity(
                x,
                y,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1,
                channel_axis=-1,
            )
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


def test_sharpness_of_a_blur() -> None:
    """A checkerboard of half the contrast has a quarter of its energy."""
    board = jnp.asarray(np.indices((16, 16)).sum(0) % 2, jnp.float32)
    board = board.reshape(1, 16, 16, 1)
    half = 0.25 + board / 2
    np.testing.assert_allclose(
        METRICS["sharpness"].fn(half, board), np.log(4), rtol=1e-4
    )
    np.testing.assert_allclose(
        METRICS["sharpness"].fn(board, half), np.log(4), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("size", "window", "scales"),
    [(8, 5, 1), (16, 9, 2), (20, 11, 2), (28, 11, 2), (32, 11, 3), (64, 11, 4)],
)
def test_window_and_scale_rule(size: int, window: int, scales: int) -> None:
    assert (window_size(size), scale_count(size)) == (window, scales)
    image, target = images(size=size)
    assert jax.eval_shape(METRICS["ms_ssim"].fn, image, target).shape == (3,)


def test_structural_metrics_refuse_small_images() -> None:
    small = jnp.zeros((1, 7, 9, 1))
    for name in ("ssim", "ms_ssim"):
        with pytest.raises(ValueError, match="7x9 .* at least 8"):
            METRICS[name].fn(small, small)


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
