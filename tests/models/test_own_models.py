"""A model of the user's own: trained as it should be, or refused in one line."""

import re
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax.models import autoencoders
from lossjax.models.network import Network, Shape
from lossjax.training.weights import parameters_of, size_of

FILE = Path(__file__).with_name("own_example.py")
IMAGE = (8, 8, 2)
KEY = jax.random.key(0)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(FILE.read_text())
    yield tmp_path


def network(name: str, blocks: int = 1, **more: object) -> Network:
    shape = Shape(IMAGE, blocks, 3, **more)  # type: ignore[arg-type]
    return autoencoders.build(f"mine.py:{name}", shape)


def images(count: int = 4) -> jax.Array:
    return jax.random.uniform(jax.random.key(1), (count, *IMAGE))


def started(made: Network, blocks: int = 1) -> dict[str, dict[str, jax.Array]]:
    found: dict[str, dict[str, jax.Array]] = jax.jit(made.init)(
        KEY, jnp.arange(2.0 * blocks)
    )
    return found


def test_a_name_is_canonical(mine: Path) -> None:
    resolve = autoencoders.resolve
    assert resolve("mine.py:Plain(width=8)").name == "mine.py:Plain"
    assert resolve("mine.py:UNet(rate=0.5, width=2)").name == (
        "mine.py:UNet(width=2, rate=0.5)"
    )
    assert not resolve("mine.py:Plain").variational
    before = resolve("mine.py:Plain")
    Path("mine.py").write_text(FILE.read_text().replace("width=8", "width=5"))
    assert resolve("mine.py:Plain(width=8)").name == "mine.py:Plain(width=8)"
    assert resolve("mine.py:Plain") != before


def test_a_plain_one_is_what_its_class_says(mine: Path) -> None:
    made = network("Plain")
    assert (made.train, made.carried, made.note) == (None, 0, "")
    params = started(made)
    out = jax.jit(made.apply)(params, images())
    assert out.raw.shape == (4, *IMAGE) and out.code.shape == (4, 3)
    np.testing.assert_allclose(
        jax.jit(made.decode)(params, out.code), out.raw, atol=1e-6
    )
    np.testing.assert_allclose(
        jax.jit(made.encode)(params, images()), out.code, atol=1e-6
    )
    bias = params["params"]["head/bias"]
    np.testing.assert_array_equal(bias, np.tile([0, 1], 64))
    quarter = network("Plain", head_scale=0.25)
    ratio = started(quarter)["params"]["head/kernel"] / params["params"]["head/kernel"]
    np.testing.assert_allclose(ratio, 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["UNet", "FromLinen"])
def test_starts_are_paired_over_losses(mine: Path, name: str) -> None:
    one, two = network(name), network(name, blocks=2)
    first, second = started(one)["params"], started(two, 2)["params"]
    head = {"UNet": "out", "FromLinen": "body/Conv_1"}[name]
    for path, leaf in first.items():
        if not path.startswith(head):
            np.testing.assert_array_equal(second[path], leaf)
    kernel = second[f"{head}/kernel"].reshape(-1, 2, 2)  # pixels x blocks x channels
    base = first[f"{head}/kernel"].reshape(-1, 2)
    # Two programs: a compiler may fuse the scale into the draw in one of them alone.
    np.testing.assert_array_max_ulp(kernel[:, 0], base, 2)
    assert not kernel[:, 1].any()
    assert "start" not in two.note
    again = jax.jit(one.init)(jax.random.key(2), jnp.zeros(2))["params"]
    assert not np.array_equal(again[f"{head}/kernel"], first[f"{head}/kernel"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["UNet(rate=0.0)", "FromLinen"])
def test_batch_norm_trains_by_the_batch_and_scores_by_its_averages(
    mine: Path, name: str
) -> None:
    made = network(name)
    assert made.train is not None and made.carried == 8 and "mean" in made.note
    params = started(made)
    mean = next(path for path in params["state"] if path.endswith("mean"))
    raw, carried = jax.jit(made.train)(params, images(), KEY)
    alone = jax.jit(made.apply)(params, images()).raw
    assert not np.allclose(raw, alone, atol=1e-3)
    np.testing.assert_allclose(
        jax.jit(made.apply)(params, images(9)[:4]).raw, alone, atol=1e-6
    )
    # The order of the numbers is that of the weights in one vector.
    flat, _ = jax.flatten_util.ravel_pytree(params)
    assert flat.size == size_of(made)
    after = parameters_of(made, flat.at[-made.carried :].set(carried))
    # Means begin at 0 and variances at 1: one step tells which is which.
    means, variances = (
        np.asarray(after["state"][mean.replace("mean", name)])
        for name in ("mean", "var")
    )
    assert np.all(variances > 0.4) and np.all(means != 0) and means.min() < 0.4
    for path, leaf in params["params"].items():
        np.testing.assert_array_equal(after["params"][path], leaf)
    slopes = jax.grad(lambda p: jnp.sum(jax.jit(made.train)(p, images(), KEY)[0]))(
        params
    )  # type: ignore[misc]
    assert not any(np.any(np.asarray(leaf)) for leaf in slopes["state"].values())


@pytest.mark.slow
def test_dropout_is_drawn_in_training_alone(mine: Path) -> None:
    made = network("UNet(rate=0.5)")
    params = started(made)
    assert made.train is not None and "random numbers of the step" in made.note
    first, again, other = (
        jax.jit(made.train)(params, images(), key)[0]
        for key in (KEY, KEY, jax.random.key(5))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)
    assert "no method encode" in made.note and made.latent_dim == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Sigmoid", "raw is what the last layer gives, without sigmoid"),
        ("NoBias", "its head cannot be found: the last layer has out_channels outputs"),
        (
            "Small",
            "raw output is float32 (2, 4, 8, 2) of images (2, 8, 8, 2); valid is",
        ),
        ("Batchwise", "norm/mean changes while images are scored"),
        ("Averaging", "raw output depends on the images beside it"),
        ("Noisy", "draws random numbers while images are scored: module.eval()"),
        ("Counting", "mean is set by a call"),
        ("Leaving", "fails: SystemExit: of one's own"),
        ("Branching", "as it is scored: asks Python for the value of its input"),
        ("Whole", "calls is int32; what a model keeps must be float32"),
        ("Broken", "out_channels=2: fails: RuntimeError: no weights here"),
        ("Other", "its __init__ takes no image_shape"),
        ("Flat", "encode is float32 (2, 1, 3)"),
        ("LinenBody", "is a Linen module; valid is an NNX module"),
        ("UNett", "has no NNX module 'UNett': did you mean UNet? it has Plain, "),
        ("jnp", "has no NNX module 'jnp'"),
        (
            "Plain(widht=3)",
            "has no argument 'widht': did you mean width? it takes width",
        ),
        ("Plain(width=a.b)", "width=a.b is neither a number nor a word"),
        ("Plain(3)", "every argument needs its keyword"),
        ("Plain(width=-1)", "fails: "),
    ],
)
def test_refuses_in_one_line(mine: Path, name: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        network(name)
    text = str(caught.value)
    assert words in text and "\n" not in text and text.startswith(("mine.py", "cannot"))


def test_files_are_trusted_as_those_of_losses_are(mine: Path) -> None:
    for content, words in (
        ("import nowhere_at_all\n", "mine.py: does not import: ModuleNotFoundError"),
        ("class X(\n", "mine.py: no Python that can be read"),
        ("import jax\nx = jax.numpy.ones(3)\n", "makes the jax array 'x'"),
    ):
        Path("mine.py").write_text(content)
        with pytest.raises(ValueError, match=words):
            network("X")
    with pytest.raises(ValueError, match="gone.py: there is no such file"):
        autoencoders.resolve("gone.py:X")


def test_precision_is_refused_where_it_would_be_ignored(mine: Path) -> None:
    with pytest.raises(ValueError, match="takes dtype=; this one computes in float32"):
        network("Plain", precision="bfloat16")


@pytest.mark.slow
def test_the_example_of_the_docs_is_one(mine: Path) -> None:
    text = (FILE.parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# my_file\.py\n.*?)```", text, re.DOTALL)
    Path("mine.py").write_text(code)
    made = network("MyAE(width=4)")
    assert (
        made.carried == 8
        and jax.jit(made.apply)(started(made), images()).raw.shape[-1] == 2
    )
