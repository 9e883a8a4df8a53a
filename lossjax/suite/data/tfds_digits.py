"""A tensorflow-datasets builder of our own: the digits, as an example to copy.

To add a set: subclass GeneratorBasedBuilder as below, yield each image as a file object
of PNG bytes (an array would need TensorFlow), add its row to tfds_sets.tsv and its
module to `OWN` in tfds_sets.py. `./run.sh data prepare NAME` then writes it, and
`--config.datasets=NAME` trains on it.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from lossjax.suite.data.dataset import Split
from lossjax.suite.data.digits import digits
from lossjax.suite.data.tfds_sets import png


class SklearnDigits(tfds.core.GeneratorBasedBuilder):
    """scikit-learn's 1,797 scans with the splits of the embedded `digits`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="1,797 handwritten digits, 8x8, shipped with scikit-learn.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {
            name: self._generate_examples(split)
            for name, split in digits().splits.items()
        }

    def _generate_examples(self, split: Split) -> Iterator[tuple[int, dict[str, Any]]]:
        assert split.labels is not None
        pairs = zip(split.images, split.labels.tolist(), strict=True)
        for index, (image, label) in enumerate(pairs):
            yield index, {"image": png(image), "label": label}
