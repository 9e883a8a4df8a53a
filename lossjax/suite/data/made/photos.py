"""Patches of 52 photographs in desktop wallpaper packages: 32x32 in colour."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lossjax.suite.data.made.made_set import Part, only

_SIDE = 32
_PER_PHOTO = 200
_LEAST_STD = 4.0  # of a patch's grey levels; below it is nearly constant
_TEST_SHARE = 0.15  # of the photographs

# Chosen by eye: photographs only. Each is the end of a path in its package.
PHOTOS = {
    "lomiri-wallpapers-16.04": """
        Bridge_by_Sander_Klootwijk.jpg Dragonfly_by_Bolly.jpg
        Picture_0B_by_freespace.jpg Picture_1A_by_freespace.jpg
        Wine_by_Jakkub_Mede.jpg aitzgorri_by_Aitzol_Berasategi.jpg
        friends_by_Aitzol_Berasategi.jpg greentock_by_Peter_Nerlich.jpg
        life_by_Aitzol_Berasategi.jpg picosdeeuropa_by_Aitzol_Berasategi.jpg
        seeding_by_Clements_Engelhardt.jpg sunset_by_Aitzol_Berasategi.jpg
    """,
    "lomiri-wallpapers-20.04": "Kleiber_by_Lukas_Baubkus.jpg",
    "lxqt-themes": """
        wallpapers/Butterfly-Kenneth-Wimer.jpg wallpapers/Valendas.png
        wallpapers/after-the-rain.jpg wallpapers/appleflower.png wallpapers/beam.png
        wallpapers/butterfly.png wallpapers/cloud.png wallpapers/drop.png
        wallpapers/flowers.png wallpapers/fog.jpg wallpapers/this-is-not-windows.jpg
    """,
    "mate-backgrounds": """
        nature/Aqua.jpg nature/Blinds.jpg nature/Dune.jpg nature/FreshFlower.jpg
        nature/Garden.jpg nature/GreenMeadow.jpg nature/LadyBird.jpg
        nature/RainDrops.jpg nature/Storm.jpg nature/TwoWings.jpg nature/Wood.jpg
        nature/YellowFlower.jpg
    """,
    "palapeli-data": """
        collection/castle-maintenon.jpg collection/cincinnati-bridge.jpg
        collection/citrus-fruits.jpg collection/european-honey-bee.jpg
        collection/panther-chameleon-female.jpg
    """,
    "plasma-workspace-wallpapers": """
        BytheWater/contents/images/2560x1600.jpg
        ColdRipple/contents/images/2560x1600.jpg
        ColorfulCups/contents/images/2560x1600.jpg
        DarkestHour/contents/images/2560x1600.jpg
        EveningGlow/contents/images/2560x1600.jpg
        FallenLeaf/contents/images/2560x1600.jpg
        Grey/contents/images/2560x1600.jpg Kite/contents/images/2560x1600.jpg
        OneStandsOut/contents/images/2560x1600.jpg Path/contents/images/2560x1600.jpg
        summer_1am/contents/images/2560x1600.jpg
    """,
}


def photos(source: Path) -> Mapping[str, Part]:
    """At most 200 patches of each photograph that are not nearly constant.

    Photographs are reduced by 2 to 4 first. Eight of them are the test images; the
    photograph of a patch is its group.
    """
    random = np.random.default_rng(0)
    names = [name for text in PHOTOS.values() for name in text.split()]
    held = set(random.permutation(names)[: round(_TEST_SHARE * len(names))].tolist())
    rows: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "t10k": []}
    for number, name in enumerate(names):
        patches = _cut(only(source, name))
        chosen = random.permutation(len(patches))[:_PER_PHOTO]
        rows["t10k" if name in held else "train"].append((patches[chosen], number))
    parts = {}
    for part, row in rows.items():
        images = np.concatenate([patches for patches, _ in row])
        groups = np.repeat(
            np.array([number for _, number in row], np.uint8),
            [len(patches) for patches, _ in row],
        )
        order = random.permutation(len(images))
        parts[part] = Part(images[order], groups=groups[order])
    return parts


def _cut(path: Path) -> np.ndarray:
    """The patches of a photograph, side by side, that are not nearly constant."""
    with Image.open(path) as file:
        photo = file.convert("RGB")
    longest = max(photo.size)
    factor = 2 if longest < 2_500 else 3 if longest < 4_000 else 4
    width, height = (length // factor for length in photo.size)
    pixels = np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS))
    down, across = height // _SIDE, width // _SIDE
    grid = pixels[: down * _SIDE, : across * _SIDE]
    grid = grid.reshape(down, _SIDE, across, _SIDE, 3).swapaxes(1, 2)
    patches = grid.reshape(-1, _SIDE, _SIDE, 3)
    grey = patches.mean(3).reshape(len(patches), -1)
    return patches[grey.std(1) >= _LEAST_STD]
