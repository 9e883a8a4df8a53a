"""What is kept of single test images: group means and the worst of them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import stored_sweeps

from lossjax.suite.config import Sweep
from lossjax.suite.store import results, sealing
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.test_images import (
    GROUPS,
    WORST,
    Hunt,
    Kept,
    Worst,
    class_means,
    classes_of,
    group_means,
    sizes,
)


@pytest.mark.parametrize("images", [3, 50, 300, 1456])
def test_groups_cover_every_image_once(images: int) -> None:
    scores = np.random.default_rng(images).normal(size=(2, images))
    means, count = group_means(scores), sizes(images)
    assert means.shape == (2, min(GROUPS, images)) and means.dtype == np.float32
    assert count.sum() == images and count.max() - count.min() <= 1
    np.testing.assert_allclose(means @ count / images, scores.mean(1), atol=1e-7)


def test_group_means_are_of_strided_images() -> None:
    means = group_means(np.arange(100.0)[None])
    np.testing.assert_array_equal(means[0], np.arange(50) + 25.0)


def test_class_means_are_of_the_images_of_each_class() -> None:
    labels = np.array([8, 3, 8, 3, 8], np.int32)
    names, counts = classes_of(labels)
    assert names.tolist() == [3, 8] and counts.tolist() == [2, 3]
    means = class_means(np.arange(10.0).reshape(2, 5), labels)
    np.testing.assert_array_equal(means, [[2, 2], [7, 7]])
    for nothing in (None, np.zeros(4, np.int32), np.arange(51)):
        assert classes_of(nothing)[0].tolist() == []


@pytest.mark.parametrize(("direction", "sign"), [("lower", 1), ("higher", -1)])
@pytest.mark.parametrize("block", [3, 7, 40])
def test_hunt_finds_the_worst_of_all_blocks(
    direction: str, sign: int, block: int
) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(2, 40)).round(1)  # with ties
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    read_outs = np.stack([images + 50, images + 100])
    hunt = Hunt("mse", direction)
    for first in range(0, 40, block):
        part = slice(first, first + block)
        hunt.look(first, scores[:, part], images[part], read_outs[:, part])
    for slot in range(2):
        found = hunt.found(slot)
        places = np.argsort(-sign * scores[slot], kind="stable")[:WORST]
        assert found is not None and found.places == tuple(places)
        assert found.scores == tuple(scores[slot, places])
        np.testing.assert_array_equal(found.originals.ravel(), places)
        np.testing.assert_array_equal(found.read_outs, read_outs[slot, places])


def test_a_score_that_is_no_number_is_the_worst() -> None:
    hunt = Hunt("ssim", "higher")
    images = np.zeros((3, 1, 1, 1), np.uint8)
    hunt.look(0, np.array([[0.1, math.nan, 0.2]]), images, images[None])
    found = hunt.found(0)
    assert found is not None and found.places == (1, 0, 2)


RUN = Run("digits", "conv_ae", "bce", 0.003, 1, 8, 200, {})
PICTURES = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
KEPT = Kept(
    ("mse", "ssim"),
    np.linspace(0, 1, 100, dtype=np.float32).reshape(2, 50),
    Worst("ssim", (7, 3), (0.25, math.nan), PICTURES, PICTURES[::-1]),
    np.array([[0.25, 0.75, 0.5]] * 2, np.float32),
)


def test_kept_survives_the_store(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    results.write_result(tmp_path, Result(RUN, "ok", kept=KEPT))
    kept = results.load(tmp_path).results[RUN.run_id].kept
    assert kept is not None and kept.worst is not None and KEPT.worst is not None
    np.testing.assert_array_equal(kept.groups, KEPT.groups)
    np.testing.assert_array_equal(kept.classes, KEPT.classes)
    np.testing.assert_array_equal(kept.worst.originals, PICTURES)
    np.testing.assert_array_equal(kept.worst.read_outs, KEPT.worst.read_outs)
    assert kept.metrics == KEPT.metrics and kept.worst.places == (7, 3)
    assert kept.worst.scores[0] == 0.25 and math.isnan(kept.worst.scores[1])
    assert kept.of("ssim") is not None and kept.of("knn_accuracy") is None


@pytest.mark.parametrize(
    "classes",
    [
        {"labels": [3, 8], "counts": [300]},
        {"labels": [3, 3], "counts": [100, 200]},
        {"labels": [3, 8], "counts": [300, 0]},
    ],
)
def test_classes_of_a_sweep_have_images_each(
    classes: dict[str, list[int]], tmp_path: Path
) -> None:
    described = stored_sweeps.describe(Sweep())
    described["datasets"]["digits"]["classes"] = classes
    results.write_sweep(tmp_path, described)
    with pytest.raises(ValueError, match="classes without a number of images each"):
        results.read_sweep(tmp_path)


def test_a_result_of_before_reads(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    results.write_result(tmp_path, Result(RUN, "ok"))
    path = tmp_path / "runs" / RUN.run_id / "result.json"
    sealed = json.loads(path.read_text())
    del sealed["payload"]["kept"]
    sealed["sha256"] = sealing.digest(sealed["payload"])
    path.write_text(json.dumps(sealed))
    stored = results.load(tmp_path)
    assert stored.damaged == {} and stored.results[RUN.run_id].kept is None
