"""Disjoint squares of a picture, as it is."""

import numpy as np

from lossjax.suite.data.levels import PictureError

Box = tuple[int, int, int, int]  # left, top, right, bottom


def tiles_of(width: int, height: int, size: int, most: int) -> list[Box]:
    """At most so many squares of a centred grid that has no gaps, in reading order.

    Which ones of more is a fixed draw, the same for every picture of that shape.

    Raises:
      PictureError: not one fits.
    """
    across, down = width // size, height // size
    if not across * down:
        raise PictureError(f"{width} x {height} is smaller than a crop of {size}")
    order = np.random.RandomState(0).permutation(across * down)
    left, top = (width - across * size) // 2, (height - down * size) // 2
    corners = [
        (left + place % across * size, top + place // across * size)
        for place in sorted(order[:most].tolist())
    ]
    return [(x, y, x + size, y + size) for x, y in corners]
