"""The sections of the page, in order. A new section is one file and one row here."""

import dataclasses
from collections.abc import Callable

from markupsafe import Markup

from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.sections import (
    families,
    gallery,
    internals,
    latent_map,
    learning,
    measures,
    problems,
    provenance,
    rankings,
    rates,
    regret,
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
    Section("verdict", "Verdict", verdicts.build),
    Section("regret", "Regret matrix", regret.build),
    Section("rankings", "Rankings", rankings.build),
    Section("response", "Response curves", families.build),
    Section("measures", "What the codes say", measures.build),
    Section("gallery", "Gallery", gallery.build),
    Section("samples", "Samples", gallery.samples),
    Section("interpolations", "Interpolations", gallery.interpolations),
    Section("map", "Latent map", latent_map.build),
    Section("worst", "Worst images", gallery.worst),
    Section("learning", "Learning curves", learning.build),
    Section("diagnostics", "Diagnostics", internals.build),
    Section("rates", "Learning rates", rates.build),
    Section("problems", "Missing and lost runs", problems.build, commands=False),
    Section("provenance", "Provenance", provenance.build, commands=False),
)
