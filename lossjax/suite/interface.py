"""What a notebook calls; light, so that a plain install can import it and say why not.

The programs behind it are imported by the call.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossjax.suite.report.display import Comparison
    from lossjax.suite.report.recommendation import Recommendation
    from lossjax.suite.sweep.trained_model import TrainedModel


def compare(
    images: Any,
    losses: Sequence[str] = ("bce", "mse"),
    *,
    model: str = "conv_ae",
    minutes: float | None = 2,
    labels: Any = None,
    mask: Any = None,
    out: str | os.PathLike[str] | None = None,
    keep_models: str | None = "best",
    **fields: Any,
) -> Comparison:
    """Which reconstruction loss for these images? Trains a sweep and compares.

    It is `./run.sh sweep` with another way in: the same protocol, store and report, and
    numbers equal to the bit to those of the command that it prints. Called again, it
    trains only what is not stored; Ctrl-C keeps what is done.

    Args:
      images: an array (n, height, width) or (n, height, width, channels), a folder of
        pictures, a file of arrays, or the name of a dataset such as "digits".
      losses: what is compared; `lossjax.LOSSES` has the names, `huber(delta=0.1)` gives
        arguments and `my_file.py:my_loss` is one of your own.
      model: an autoencoder, such as "conv_ae", "mlp_ae" or "vae(beta=2)".
      minutes: about how long to train: the training steps are chosen by a measurement,
        once. None, or `train_steps` given, measures nothing.
      labels: whole numbers (n,), of an array; they score the code.
      mask: true where a pixel counts, of an array.
      out: where runs and report are kept; a folder of results/local by default.
      keep_models: "best" keeps the network of each seed's chosen rate, for
        `load(comparison.run(loss))`; "all" every run's; None keeps none.
      fields: of a config, such as `seeds=range(20)`, `learning_rates=(1e-3, 3e-3)`,
        `latent_dim=32` or `value_range=(0, 4095)`.

    Returns:
      The comparison; as the last line of a cell it shows itself.

    Raises:
      UserError: an argument cannot be used; one line that says what is valid.
      KeyboardInterrupt: stopped; call again with the same arguments to resume.
      ImportError: lossjax is installed without its programs.
    """
    with _of_the_suite("compare"):
        from lossjax.suite.sweep import notebook
    asked = {"losses": losses, "models": model, **fields}
    return notebook.compare(images, asked, minutes, labels, mask, out, keep_models)


def recommend(
    images: Any,
    *,
    purpose: str = "squared",
    minutes: float = 5,
    labels: Any = None,
    mask: Any = None,
    out: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> Recommendation:
    """Which reconstruction loss for these images, how sure, and what is not known.

    It is `./run.sh advise` with another way in: it looks at the images, trains a short
    comparison within the minutes and words it. Called again, it trains nothing twice.

    Args:
      images: as of `compare`.
      purpose: what reconstructions are for: "squared", "absolute", "looks", "codes"
        (needs labels) or "density" (a variational autoencoder).
      minutes: about how long it may take, 0.2 at least; the first time, which
        compiles, may take longer.
      labels: whole numbers (n,), of an array.
      mask: true where a pixel counts, of an array.
      out: where runs and report are kept; a folder of results/local by default.
      fields: of a config, such as `image_size=64`, `crops=4`, `latent_dim=32` or
        `value_range=(0, 4095)`; `models="mlp_ae"` is another autoencoder.

    Returns:
      The recommendation: `.loss`, `.tied`, `.text`, `.code["torch"]`, and all of a
      comparison.

    Raises:
      UserError: an argument cannot be used; one line that says what is valid.
      KeyboardInterrupt: stopped; call again with the same arguments to resume.
      ImportError: lossjax is installed without its programs.
    """
    with _of_the_suite("recommend"):
        from lossjax.suite.advise import advisor
        from lossjax.suite.sweep import notebook
    with notebook.resumable("recommend"):
        return advisor.advise(
            *(images, purpose, minutes, labels, mask, out, fields),
            notebook.console_here(),
        )


def load(run: str | os.PathLike[str]) -> TrainedModel:
    """A trained autoencoder that a sweep has kept with `--keep_models=best` or `all`.

    `model(images)` gives output images, equal to the sweep's, `model.encode(images)`
    codes, `model.decode(codes)` output images of codes.

    Args:
      run: the folder of a run, DIR/runs/RUN_ID, or the model.npz in it.

    Raises:
      UserError: no model was kept there, it is damaged, or the own code that it was
        trained with has changed.
      ImportError: lossjax is installed without its programs.
    """
    with _of_the_suite("load"):
        from lossjax.suite.sweep import trained_model
    return trained_model.load(run)


@contextlib.contextmanager
def _of_the_suite(name: str) -> Iterator[None]:
    """Says in one line what to install where a plain install lacks a library."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lossjax":
            raise
        raise ImportError(
            f"{name} needs lossjax[suite]: pip install 'lossjax[suite]' "
            f"({error.name} is not installed)"
        ) from None
