"""Patches of slices through one magnetic resonance image of one head: 32x32, grey."""

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.made.made_set import Part, only

_SIDE = 32
# Along y (back to front), [first, last); 8 mm between a slab of test and of training.
_SLABS = {
    "train": ((0, 42), (94, 130), (182, 217)),
    "t10k": ((50, 86), (138, 174)),
}
_COUNTS = {"train": 12_000, "t10k": 2_000}
_LEAST_HEAD = 0.5  # of a patch's voxels
_BACKGROUND = 10  # voxels up to this value are air
_VOXELS = (181, 217, 181)


def brain(source: Path) -> Mapping[str, Part]:
    """A third each axial (0), coronal (1) and sagittal (2), levels as in the file.

    A patch lies within one slab of the head, which is its group: neighbouring patches
    overlap, so no slab may be in two splits.
    """
    random = np.random.default_rng(0)
    volume = _volume(only(source, "ch2.nii.gz"))
    parts = {}
    for part, count in _COUNTS.items():
        images, labels, groups = [], [], []
        for label, share in enumerate(np.array_split(np.arange(count), 3)):
            found, slab = _patches(volume, label, _SLABS[part])
            chosen = random.choice(len(found), len(share), replace=False)
            images.append(found[chosen])
            groups.append(slab[chosen])
            labels.append(np.full(len(share), label, np.uint8))
        order = random.permutation(count)
        parts[part] = Part(
            *(np.concatenate(one)[order] for one in (images, labels, groups))
        )
    return parts


def _patches(
    volume: np.ndarray, orientation: int, slabs: tuple[tuple[int, int], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct patches of one orientation within the slabs, and the slab of each."""
    axis = (2, 1, 0)[orientation]
    found: dict[bytes, int] = {}
    for number, (first, last) in enumerate(slabs):
        slices = np.moveaxis(volume[:, first:last], axis, 0)
        # Up is up: the vertical axis first and reversed (z, or y in axial slices).
        slices = slices.transpose(0, 2, 1)[:, ::-1]
        # Within the slab's narrow axis positions are few, so they are closer there.
        step = (2, 8, 8) if axis == 1 else (2, 4, 4)
        for plane in slices[:: step[0]]:
            for row in range(0, plane.shape[0] - _SIDE + 1, step[1]):
                for column in range(0, plane.shape[1] - _SIDE + 1, step[2]):
                    patch = plane[row : row + _SIDE, column : column + _SIDE]
                    if (patch > _BACKGROUND).mean() >= _LEAST_HEAD:
                        found.setdefault(patch.tobytes(), number)
    images = np.frombuffer(b"".join(found), np.uint8).reshape(-1, _SIDE, _SIDE)
    return images, np.array([*found.values()], np.uint8)


def _volume(path: Path) -> np.ndarray:
    """The voxels [x, y, z] of a NIfTI-1 file of unsigned bytes, little-endian."""
    wrong = DataError(f"{path}: not the volume of {_VOXELS} bytes that is expected")
    try:
        with gzip.open(path) as file:
            data = file.read(2**24)
        (size,) = struct.unpack_from("<i", data, 0)
        rank, *shape = struct.unpack_from("<8h", data, 40)
        kind, bits = struct.unpack_from("<2h", data, 70)
        offset, slope, intercept = struct.unpack_from("<3f", data, 108)
        if (size, rank, kind, bits, slope, intercept) != (348, 3, 2, 8, 1, 0):
            raise wrong
        if tuple(shape[:3]) != _VOXELS:
            raise wrong
        voxels = np.frombuffer(data, np.uint8, int(np.prod(_VOXELS)), int(offset))
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise wrong from error
    return voxels.reshape(_VOXELS, order="F")
