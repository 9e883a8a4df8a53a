"""Sets that are made from public packages: rebuilt by anyone, to the same bytes."""

import types
from collections.abc import Mapping

from lossjax.suite.data.made.animals import animals
from lossjax.suite.data.made.brain import brain
from lossjax.suite.data.made.clipart import clipart
from lossjax.suite.data.made.glyphs import glyphs
from lossjax.suite.data.made.made_set import MadeSet
from lossjax.suite.data.made.photos import photos

MADE_SETS: Mapping[str, MadeSet] = types.MappingProxyType(
    {
        row.name: row
        for row in (
            MadeSet(
                "glyphs",
                "the Debian package unifont 1:15.0.01-2",
                "16x16x1",
                "14,871 / 5,000 / 3,000",
                "characters of GNU Unifont, black or white only, 20 scripts",
                "GPL-2+",
                glyphs,
                "77b3cf38166c4f9730a1cd1f64c2fe448cb1b16046feb78e3321470f8e1e2da1",
            ),
            MadeSet(
                "animals",
                "the Python package animal-mnist 0.4",
                "28x28x1",
                "7,500 / 1,500 / 1,000",
                "silhouettes of ten animals, bright on black",
                "MIT",
                animals,
                "4aea43ac52d677e91fd41952bc292ad26e7f39ec6a6f9f7532780299e1036455",
            ),
            MadeSet(
                "clipart",
                "the Debian package openclipart-png 1:0.18+dfsg-19",
                "32x32x3",
                "4,997 / 999 / 817",
                "Open Clip Art on white, 22 folders as labels",
                "public domain",
                clipart,
                "dcf6b7c9ff8b19e44c38a56dcade15256f4b49ad18fdb3e48d0e1b8a127b411b",
            ),
            MadeSet(
                "photos",
                "the Debian packages lomiri-wallpapers-16.04 and -20.04 20.04.0-2, "
                "lxqt-themes 1.2.0-1, mate-backgrounds 1.26.0-1, palapeli-data "
                "4:22.12.3-1 and plasma-workspace-wallpapers 4:5.27.5-2",
                "32x32x3",
                "7,149 / 1,343 / 1,468",
                "patches of 52 photographs, split by photograph",
                "of its parts, some share-alike",
                photos,
                "2968d8259a347cbbadc4b034bfc4ef873ac21c1ab2eef8ac05e8826998b55a6a",
            ),
            MadeSet(
                "brain",
                "the Debian package mricron-data 1.2.20211006+dfsg-4",
                "32x32x1",
                "10,281 / 1,719 / 2,000",
                "patches of one head's magnetic resonance image, split by slab",
                "BSD-3-clause",
                brain,
                "146fb5b27fd242727a2452185e407bd3b8219576ee69099610ee9e69df97aef1",
            ),
        )
    }
)
