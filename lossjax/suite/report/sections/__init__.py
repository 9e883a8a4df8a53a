"""The sections of the page, in order. A new section is one file and one row here."""

import dataclasses
from collections.abc import Callable

from markupsafe import Markup

from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.sections import (
    advised,
    behind,
    budgets,
    by_class,
    counted_pixels,
    gallery,
    latent_map,
    leaderboard,
    learning,
    measures,
    networks,
    problems,
    provenance,
    rankings,
    rates,
    response,
    verdicts,
)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page; an empty body leaves it out."""

    key: str
    title: str
    build: Callable[[Evidence, Album], Markup]
    commands: bool = True  # whether those behind its numbers follow


SECTIONS = (
    Section("advice", "Advice", advised.build, commands=False),
    Section("leaderboard", "All datasets", leaderboard.build),
    Section("verdict", "Verdict", verdicts.build),
    Section("behind", "How far behind", behind.build),
    Section("rankings", "Rankings", rankings.build),
    Section("budgets", "Training steps", budgets.build),
    Section("response", "Response curves", response.build),
    Section("measures", "What the codes say", measures.build),
    Section("gallery", "Gallery", gallery.build),
    Section("classes", "By class", by_class.build),
    Section("samples", "Samples", gallery.samples),
    Section("interpolations", "Interpolations", gallery.interpolations),
    Section("map", "Latent map", latent_map.build),
    Section("worst", "Worst images", gallery.worst),
    Section("learning", "Learning curves", learning.build),
    Section("diagnostics", "Diagnostics", networks.build),
    Section("rates", "Learning rates", rates.build),
    Section("problems", "Problems", problems.build, commands=False),
    Section("pixels", "Pixels", counted_pixels.build, commands=False),
    Section("provenance", "Provenance", provenance.build, commands=False),
)
