"""Sets whose truth is planted: it must be there, and found where the metadata says."""

import contributing
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax.suite import data
from lossjax.suite.data import sources
from lossjax.suite.data.dataset import Noise, check_memory
from lossjax.suite.data.made import MADE_SETS
from lossjax.suite.data.noise import LAWS, noisy_targets
from lossjax.suite.data.patches import bands
from lossjax.suite.data.procedural import LAWS as LAW_NAMES
from lossjax.suite.data.tfds import known_set


def pixels(name: str, **keywords: int) -> np.ndarray:
    splits = data.load(name, **keywords).splits.values()
    return np.concatenate([split.images for split in splits])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_textures_hold_the_planted_share_of_binary_pixels(share: float) -> None:
    dataset = data.load(f"textures(binary={share}, count=2000)", image_size=16)
    images = dataset.train.images
    assert ((images == 0) | (images == 255)).mean() == pytest.approx(share, abs=0.02)
    assert dataset.truth["binary_share"] == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (0.5, 0.5), (8.0, 2.0)])
def test_textures_hold_the_planted_grey_levels(a: float, b: float) -> None:
    images = pixels(f"textures(grey_a={a}, grey_b={b}, spectrum=1.0)") / 255
    assert images.mean() == pytest.approx(a / (a + b), abs=0.01)
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert images.var() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("exponent", [0.0, 2.0, 3.0])
def test_textures_hold_the_planted_spectrum(exponent: float) -> None:
    # grey_a = grey_b = 20 is close to Gaussian, so grey levels keep the field's slope.
    images = pixels(
        f"textures(spectrum={exponent}, grey_a=20.0, grey_b=20.0)", image_size=32
    )
    power = (np.abs(np.fft.fft2(images[..., 0] - images.mean())) ** 2).mean(0)
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None])
    ring = (radius > 0.06) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[ring]), np.log(power[ring]), 1)[0]
    assert -slope == pytest.approx(exponent, abs=0.15)


def test_linear_decoder_has_the_planted_rank_and_spread() -> None:
    images = pixels("linear_decoder(latents=3, logit_sd=1.0)").astype(float) / 255
    logits = np.log(images / (1 - images)).reshape(len(images), -1)
    assert logits.std() == pytest.approx(1.0, abs=0.05)
    singular = np.linalg.svd(logits - logits.mean(0), compute_uv=False)
    assert singular[3] / singular[2] < 0.05  # rounding to 1/255 is all that is left


def test_seeds_differ_and_repeat() -> None:
    one, again, other = (
        data.load(f"textures(seed={seed}, count=100)").fingerprint for seed in (1, 1, 2)
    )
    assert one == again != other


def test_noise_belongs_to_the_identity() -> None:
    quiet = data.load("linear_decoder")
    noisy = data.load("linear_decoder(noise='laplace', scale=0.2)")
    assert noisy.noise == Noise("laplace", 0.2) and quiet.noise is None
    np.testing.assert_array_equal(quiet.train.images, noisy.train.images)
    assert quiet.fingerprint != noisy.fingerprint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("textures(binary=1.5)", "binary=1.5: valid are numbers from 0 to 1"),
        ("textures(binary=nan)", "binary='nan': valid are numbers from 0 to 1"),
        ("textures(binary='x')", "binary='x'"),
        ("textures(binary=0.1, binary=0.2)", "binary is given twice"),
        ("textures(binry=0.5)", "did you mean binary?"),
        ("textures(0.5)", "cannot read"),
        ("textures(binary=__import__('os'))", "binary=__import__('os'): valid are"),
        ("textures(**{'binary': 1})", "** is not valid"),
        ("textures(count=1e9)", "count=1000000000.0"),
        ("textures(count=True)", "count=True"),
        ("textures(noise='gauss')", "valid are none, gaussian"),
        ("texturs(binary=0.5)", "did you mean textures(binary=0.0, ...)?"),
        ("digits(binary=0.5)", "unknown dataset"),
        ("textures(", "did you mean textures"),
    ],
)
def test_bad_dials_get_one_line(name: str, words: str) -> None:
    for entry in (data.check, data.load):
        with pytest.raises(data.DataError) as caught:
            entry(name)
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_every_law_can_be_asked_for() -> None:
    assert set(LAW_NAMES) == {"none", *LAWS}


CLEAN = jnp.broadcast_to(jnp.array([0.1, 0.5, 0.9]), (4, 50, 50, 3))
draw = jax.jit(noisy_targets, static_argnums=0)


@pytest.mark.parametrize(
    ("law", "scale", "variance"),
    [
        ("gaussian", 0.2, lambda y: 0.04 + 0 * y),
        ("laplace", 0.2, lambda y: 0.08 + 0 * y),
        ("bernoulli", 1.0, lambda y: y * (1 - y)),
        pytest.param("poisson", 0.5, lambda y: 0.5 * y, marks=pytest.mark.slow),
        ("variance", 0.3, lambda y: 0.09 * y * (1 - y)),
    ],
)
def test_noise_has_the_stated_mean_and_variance(law, scale, variance) -> None:
    noise = Noise(law, scale, 1.0)
    found = draw(noise, jax.random.key(0), CLEAN, jnp.arange(4))
    assert found.dtype == jnp.float32
    level = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(found.mean((0, 1, 2)), level, atol=0.01)
    np.testing.assert_allclose(found.var((0, 1, 2)), variance(level), rtol=0.1)


def test_cauchy_noise_has_the_stated_quartiles() -> None:
    noise = Noise("cauchy", 0.1414)
    found = draw(noise, jax.random.key(0), CLEAN, jnp.arange(4)) - CLEAN
    quartiles = jnp.quantile(found, jnp.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(quartiles, [-0.1414, 0, 0.1414], atol=0.006)
    assert found.max() > 10  # never clipped


def test_noise_follows_the_image_not_the_batch() -> None:
    noise, key = Noise("gaussian", 0.1), jax.random.key(3)
    whole = noisy_targets(noise, key, CLEAN, jnp.arange(4))
    some = jax.jit(lambda x, i: noisy_targets(noise, key, x, i))(
        CLEAN[:2], jnp.array([3, 1])
    )
    np.testing.assert_allclose(some, whole[jnp.array([3, 1])], atol=1e-6)
    assert not np.allclose(whole[0], whole[1])
    assert noisy_targets(None, key, CLEAN, jnp.arange(4)) is CLEAN


@pytest.mark.parametrize("size", [8, 16, 64])
def test_patches_of_two_splits_share_no_neighbourhood(size: int) -> None:
    found = bands(640, size)
    edges = [found[key] for key in ("train", "validation", "test")]
    assert edges[0][0] == 0 and edges[-1][1] <= 640
    for (_, right), (left, _) in zip(edges, edges[1:], strict=False):
        assert left - right > size
    assert all(right - left >= size for left, right in edges)


def test_patches_are_cut_from_the_photographs() -> None:
    from sklearn.datasets import load_sample_images

    dataset = data.load("patches", image_size=24)
    china = load_sample_images().images[0]
    np.testing.assert_array_equal(dataset.train.images[0], china[:24, :24])
    left = bands(640, 24)["test"][0]
    np.testing.assert_array_equal(
        dataset.test.images[1], china[:24, left + 12 : left + 36]
    )
    assert data.load("patches", channels=1).image_shape == (16, 16, 1)
    with pytest.raises(data.DataError, match="valid are 4 to 64"):
        data.load("patches", image_size=65)


def test_the_table_states_true_sizes() -> None:
    for row in data.DATASETS.values():
        if row.name in MADE_SETS:
            continue  # of packages that a test machine lacks
        if not row.folder and known_set(row.name) is None:
            check_words(row, data.load(row.name))


def check_words(row: data.Source, dataset: data.Dataset) -> None:
    step = f"{row.name}: CONTRIBUTING.md, A dataset, step 2"
    sizes = " / ".join(f"{len(split):,}" for split in dataset.splits.values())
    assert row.sizes.startswith(sizes), f"{step}: {sizes}"
    shape = "x".join(map(str, dataset.image_shape))
    assert row.shape.startswith(shape), f"{step}: {shape}"


def test_the_example_for_contributors_is_a_whole_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, row = contributing.example("A dataset")
    names = vars(sources) | {"__name__": "ramps"}
    exec(module, names)
    rows = eval(f"{{{row}}}", names)
    monkeypatch.setattr(sources, "DATASETS", dict(data.DATASETS) | rows)
    ((name, source),) = rows.items()
    found, again = data.load(name), data.load(name, image_size=16)
    check_words(source, found)
    assert again.image_shape == (16, 16, 1)
    assert found.fingerprint == data.load(name).fingerprint
    images = np.concatenate([split.images for split in found.splits.values()])
    assert len(np.unique(images, axis=0)) == len(images)


def test_max_examples_samples_every_split_alike() -> None:
    whole, few = data.load("digits"), data.load("digits", max_examples=180)
    assert [len(split) for split in few.splits.values()] == [119, 30, 30]
    assert few.fingerprint == data.load("digits", max_examples=180).fingerprint
    for key, split in few.splits.items():
        parent = whole.splits[key]
        pairs = {
            (image.tobytes(), int(label))
            for image, label in zip(parent.images, parent.labels, strict=True)
        }
        assert all(
            (image.tobytes(), int(label)) in pairs
            for image, label in zip(split.images, split.labels, strict=True)
        )
    assert data.load("digits", max_examples=5000).fingerprint == whole.fingerprint


def test_a_set_above_device_memory_is_refused_with_what_fits() -> None:
    digits = data.load("digits")
    check_memory(digits, 1797 * 64)
    with pytest.raises(data.DataError, match="max_examples=1796") as caught:
        check_memory(digits, 1797 * 64 - 1)
    assert "GB" in str(caught.value)


def test_arrays_of_a_tanh_get_their_rescaling_and_loss() -> None:
    images = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 8, 8, 1)
    with pytest.raises(TypeError, match=r"127.5 \* \(x \+ 1\).*bce on raw output 2 z"):
        data.Split(images)
    with pytest.raises(TypeError, match=r"255 \* x"):
        data.Split((images + 1).astype(np.float64) / 2)
