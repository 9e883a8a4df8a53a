"""A loss of the user's own: a row like any other, or one line that says why not."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import Loss, own_code, resolve
from lossjax.certificates.certify import FAILS, HOLDS, IDLE, certify
from lossjax.suite.cards import __main__ as losses
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep, sweep
from lossjax.suite.config import resolve as resolved
from lossjax.suite.protocol import blocks, fixed_values

MINE = '''"""My losses."""
import jax
import jax.numpy as jnp
from beside import double


def tilted(raw, target, quantile=0.7):
    """Quantile of a pixel."""
    r = target - jax.nn.sigmoid(raw)
    return jnp.maximum(quantile * r, (quantile - 1) * r)


def square(raw, target, *, factor=1):
    return factor * double((raw - target) ** 2) / 2


square.read_out = lambda raw: jnp.clip(raw, 0, 1)
square.floor = lambda target, factor: 0 * target
square.unit = "intensity squared"
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of two losses in the working folder, with a module that it imports."""
    monkeypatch.chdir(tmp_path)
    Path("beside.py").write_text("def double(x):\n    return 2 * x\n")
    Path("mine.py").write_text(MINE)
    yield tmp_path


def examples() -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    target = rng.uniform(size=(2, 8, 8, 1)).astype(np.float32)
    return jnp.asarray(3 * rng.normal(size=target.shape), jnp.float32), target


def score(loss: Loss) -> np.ndarray:
    return np.asarray(loss.fn(*examples()))


def test_is_a_row_like_any_other(mine: Path) -> None:
    loss = resolve("mine.py:square(factor=2)")
    assert loss.name == "mine.py:square(factor=2)"
    np.testing.assert_allclose(score(loss), 2 * score(resolve("mse_linear")), rtol=1e-6)
    assert resolve("mine.py:square(factor=1.0)").name == "mine.py:square"
    raw, target = examples()
    linear = resolve("mse_linear")
    np.testing.assert_array_equal(loss.read_out(raw), linear.read_out(raw))
    np.testing.assert_array_equal(loss.floor(target), [0, 0])
    np.testing.assert_allclose(loss.start(np.array([0.3])), [0.3], atol=1e-6)
    median = resolve("mine.py:tilted(quantile=0.5)")
    np.testing.assert_allclose(2 * score(median), score(resolve("mae")), rtol=1e-6)
    assert np.isnan(median.floor(target)).all()  # none is stated
    # One family: hyperparameters are traced, as those of the table.
    assert jax.tree.structure(median) == jax.tree.structure(resolve("mine.py:tilted"))
    assert resolve(str(mine / "mine.py") + ":tilted").link is median.link


def test_an_edit_is_seen_in_the_file_and_beside_it(mine: Path) -> None:
    before = score(resolve("mine.py:square"))
    Path("beside.py").write_text("def double(x):\n    return 4 * x\n")
    np.testing.assert_allclose(score(resolve("mine.py:square")), 2 * before, rtol=1e-6)
    assert not Path("__pycache__").exists()  # a user's folder is only read
    Path("mine.py").write_text(MINE.replace("factor=1)", "factor=3)"))
    np.testing.assert_allclose(score(resolve("mine.py:square")), 6 * before, rtol=1e-6)


def _runs(loss: str) -> dict[str, set[str]]:
    """The run_ids of a sweep of this loss and mse, by loss."""
    asked = resolved(sweep(losses=(loss, "mse"), seeds=(0,)))
    again = Sweep.from_json(asked.to_json())  # what a report reads
    fixed = fixed_values(again, {"digits": {"fingerprint": "x"}}, 3)
    found: dict[str, set[str]] = {}
    for block in blocks(again, fixed):
        found.setdefault(block.arm.loss, set()).update(r.run_id for r in block.runs)
    return found


def test_code_is_part_of_what_a_run_is(mine: Path) -> None:
    before = _runs("mine.py:square")
    assert _runs("mine.py:square") == before
    os.utime("mine.py")
    Path("other.py").write_text("x = 1\n")  # is not imported
    assert _runs("mine.py:square") == before
    Path("beside.py").write_text("def double(x):\n    return x + x\n")
    after = _runs("mine.py:square")
    assert not after["mine.py:square"] & before["mine.py:square"]
    assert after["mse"] == before["mse"]  # and of no other run
    assert "own_code" not in resolved(sweep()).to_json()


def test_what_a_file_consists_of(mine: Path) -> None:
    Path("beside.py").write_text("import kit.part, json\n")
    Path("kit").mkdir()
    Path("kit/part.py").write_text("import mine\n")
    names = sorted(path.name for path in own_code.files_of("mine.py"))
    assert names == ["beside.py", "mine.py", "part.py"]


def test_certificates_are_measured_and_the_rest_is_said(mine: Path) -> None:
    own = {c.name: c for c in certify(resolve("mine.py:square"))}
    assert own["gradient"].verdict == own["floor"].verdict == HOLDS
    assert own["minimum at a fixed target"].verdict == HOLDS
    assert own["estimate from random targets"].found == "the mean"
    assert own["not checked"].verdict == IDLE
    tilted = {c.name: c for c in certify(resolve("mine.py:tilted"))}
    assert tilted["floor"].verdict == IDLE and tilted["finite"].verdict == HOLDS
    assert "from the median" in tilted["estimate from random targets"].found


@pytest.mark.slow
def test_wrong_ones_fail_their_certificates(mine: Path) -> None:
    Path("mine.py").write_text(
        MINE.replace("0 * target", "0 * target + 0.1") + "\n\ndef log(raw, target):\n"
        "    return -jnp.log(jax.nn.sigmoid(raw)) * target\n"
        "\n\n@jax.custom_jvp\ndef half(x):\n    return x * x\n"
        "\n\nhalf.defjvp(lambda p, t: (p[0] ** 2, p[0] * t[0]))\n"
        "\n\ndef wrong(raw, target):\n    return half(raw - target)\n"
    )
    floor = {c.name: c for c in certify(resolve("mine.py:square"))}["floor"]
    assert floor.verdict == FAILS
    finite = {c.name: c for c in certify(resolve("mine.py:log"))}["finite"]
    assert finite.verdict == FAILS and "float32 at z" in finite.found
    assert {c.name: c for c in certify(resolve("mine.py:wrong"))}[
        "gradient"
    ].verdict == FAILS


def test_the_card_of_ones_own(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert losses.main(["mine.py:tilted(quantile=0.9)"]) == 0
    card = capsys.readouterr().out
    for words in (
        "mine.py:tilted(quantile=0.9)",
        "Quantile of a pixel.",
        "not checked",
    ):
        assert words in card
    assert "FAILS" not in card


@pytest.mark.parametrize(
    ("text", "written", "words"),
    [
        ("gone.py:f", "", "gone.py: there is no such file"),
        ("mine.py:tiltd", MINE, "has no function 'tiltd': did you mean tilted? it has"),
        ("mine.py:jnp", MINE, "has no function 'jnp'"),
        ("mine.py:tilted(quantle=1)", MINE, "did you mean quantile? it takes quantile"),
        ("mine.py:tilted(quantile=x)", MINE, "quantile=x is not a finite number"),
        ("mine.py:tilted[weigh]", MINE, "a loss of your own has no cuts"),
        ("mine.py:tilted(0.3)", MINE, "every argument needs its keyword"),
        (
            "mine.py:f",
            "def f(raw, target:\n",
            "mine.py: no Python that can be read: line",
        ),
        (
            "mine.py:f",
            "import nowhere_at_all\n",
            "does not import: ModuleNotFoundError",
        ),
        ("mine.py:f", "raise SystemExit(3)\n", "mine.py: does not import: SystemExit"),
        (
            "mine.py:f",
            "def f(raw, target):\n    return raw if raw[0, 0, 0, 0] > 0 else target\n",
            "mine.py:f: asks Python for the value of its input",
        ),
        (
            "mine.py:f",
            "import numpy as np\n\ndef f(raw, target):\n    return np.abs(raw)\n",
            "asks Python for the value of its input",
        ),
        (
            "mine.py:f",
            "def f(raw, target, a=1):\n    return raw * (2 if a > 1 else 3)\n",
            "asks Python for the value of its input",
        ),
        (
            "mine.py:f",
            "def f(raw, target):\n    return ((raw - target) ** 2).mean((1, 2, 3))\n",
            "returns float32 (2,) of images (2, 4, 5, 3); valid is one floating value",
        ),
        ("mine.py:f", "def f(raw, target):\n    return 3\n", "returns int"),
        ("mine.py:f", "def f(raw, target):\n    return raw > 0\n", "returns bool"),
        ("mine.py:f", "def f(raw, target):\n    return raw.no\n", "f: fails on images"),
        ("mine.py:f", "def f(raw, target):\n    exit(4)\n", "f: fails on images"),
        ("mine.py:f", "def f(raw):\n    return raw\n", "this one takes 1 arguments"),
        (
            "mine.py:f",
            "def f(raw, y, a):\n    return raw\n",
            "'a' has no number as its",
        ),
        ("mine.py:f", "def f(raw, y, **a):\n    return raw\n", "'a' has no number"),
        (
            "mine.py:f",
            "def f(raw, y):\n    return raw\n\nf.read_out = lambda raw: raw[0]\n",
            "f: its read_out returns float32 (4, 5, 3)",
        ),
        (
            "mine.py:f",
            "def f(raw, y):\n    return raw\n\nf.floor = lambda y: y > 'a'\n",
            "f: its floor fails on images",
        ),
        (
            "mine.py:f",
            "import jax\n\nscale = jax.numpy.ones(3)\n\ndef f(r, y): return r\n",
            "makes the jax array 'scale' while it is imported",
        ),
    ],
)
def test_refuses_in_one_line(mine: Path, text: str, written: str, words: str) -> None:
    Path("mine.py").write_text(written)
    with pytest.raises(ValueError) as caught:
        resolve(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError):
        losses.main([text])
