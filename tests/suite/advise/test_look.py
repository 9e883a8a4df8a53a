"""What is seen of images is counted right, masks included."""

import numpy as np
import pytest

from lossjax.models.pixels import Pixels
from lossjax.suite.advise.look import look, trivial
from lossjax.suite.data.dataset import Content, Dataset, Split, make_dataset


def made(images: np.ndarray, labels: np.ndarray | None = None, **more) -> Dataset:
    """The images thrice over, as three splits."""
    splits = {key: Split(images, labels) for key in ("train", "validation", "test")}
    return make_dataset("own", Content(splits, **more))


def test_shares_floor_and_copies_are_counted() -> None:
    images = np.zeros((40, 4, 4, 3), np.uint8)
    images[:10] = 255
    images[10:20, ..., 0] = 128  # red
    images[20:, 0, 0] = np.arange(20)[:, None]
    found = look(made(images))
    assert found["images"] == 120 and found["duplicates"] == 18 and found["colour"]
    assert found["white"] == 0.25 and found["counted"] == 1
    assert found["black"] == np.mean(images == 0)
    p = 128 / 255
    grey = -(p * np.log(p) + (1 - p) * np.log(1 - p)) * 10 * 16
    dark = np.arange(1, 20) / 255
    dark = -3 * (dark * np.log(dark) + (1 - dark) * np.log(1 - dark)).sum()
    assert found["floor"] == pytest.approx((grey + dark) / images.size, rel=1e-5)
    assert sum(found["histogram"]) == pytest.approx(1)


def test_as_many_components_as_the_images_have_draw_them_exactly() -> None:
    random = np.random.default_rng(0)
    codes, basis = random.uniform(0, 0.3, (60, 3)), random.uniform(0, 1, (3, 64))
    images = (codes @ basis).astype(np.float32).reshape(60, 8, 8, 1)
    dataset = made(images, pixels=Pixels(0, "float32"))
    found = trivial(dataset, "mse", 3)
    flat = images.reshape(60, 64)
    assert found["the mean image"] == pytest.approx(flat.var(0).mean(), rel=1e-4)
    assert found["principal components"] < 1e-4 * found["the mean image"]
    assert trivial(dataset, "mse", 1)["principal components"] > 1e-3 * flat.var()


def test_what_a_mask_hides_changes_nothing() -> None:
    images = np.random.default_rng(0).uniform(size=(60, 8, 8, 1)).astype(np.float32)
    hidden = images.copy()
    hidden[:, :, 4:] = np.nan
    pixels = Pixels(0, "float32", masked=True)
    masked = made(hidden, pixels=pixels)
    alone = made(np.ascontiguousarray(images[:, :, :4]), pixels=Pixels(0, "float32"))
    for metric in ("mse", "mae"):
        ours, theirs = (trivial(one, metric, 4) for one in (masked, alone))
        assert ours == pytest.approx(theirs, rel=1e-3)
    seen, bare = look(masked), look(alone)
    assert seen.pop("counted") == 0.5 and bare.pop("counted") == 1
    assert seen["histogram"] == bare["histogram"]
    assert seen["floor"] == pytest.approx(bare["floor"])


def test_codes_are_told_apart_by_the_commonest_label_and_by_components() -> None:
    labels = np.repeat([5, 6, 9], [30, 20, 10]).astype(np.int32)
    images = np.zeros((60, 4, 4, 1), np.uint8)
    images[labels == 6, 0] = 200
    images[labels == 9, 3] = 200
    images[..., 1, 1, 0] = np.arange(60)
    found = trivial(made(images, labels), "knn_accuracy", 2)
    assert found["the commonest label"] == 0.5
    assert found["principal components"] > 0.9
