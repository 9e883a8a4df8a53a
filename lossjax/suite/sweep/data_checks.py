"""What is checked of a sweep once its data are there, before anything is written."""

from collections.abc import Mapping

from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.sweep import datasets, validation
from lossjax.suite.sweep.image_sizes import check_own_models, check_sizes
from lossjax.suite.sweep.pixel_rules import check_pixels
from lossjax.suite.sweep.preview import seeds_note


def check(sweep: Sweep, loaded: Mapping[str, Dataset]) -> list[str]:
    """Refuses data that the devices, a model, a loss or a metric cannot take.

    Returns:
      What a user should know before it is trained, a line each.

    Raises:
      UserError: what is refused, and why.
    """
    datasets.check_memory(loaded)
    sizes = check_sizes(sweep, loaded)
    check_pixels(sweep, loaded)
    own = check_own_models(sweep, loaded)
    notes = *sizes, *validation.notes(sweep, loaded), *own
    return [*notes, seeds_note(sweep)]
