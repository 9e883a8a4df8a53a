"""What a notebook shows of a sweep: its report's numbers, and no markup of names."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stored_sweeps
from pages import Page

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report.display import Comparison


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("stored")
    stored_sweeps.write(out, Sweep(losses=tuple(stored_sweeps.LOSSES)))
    return Comparison.of(out)


def test_numbers_are_those_of_the_report(comparison: Comparison) -> None:
    table = comparison.table()
    summary = comparison.out / "report/summary.json"
    report = pd.read_csv(comparison.out / "report/tables/ranking.csv")
    mse = report[report.metric == "mse"].set_index("loss")
    assert list(table.index) == list(mse.index) == ["bce", "mse", *mse.index[2:]]
    for end in ("center", "low", "high"):
        np.testing.assert_array_equal(table[f"mse_{end}"], mse[end])
    assert list(table["mse_word"]) == list(mse["word"])
    whole = json.loads(summary.read_text())["verdict"]
    assert comparison.verdict == whole.replace("digits / conv_ae: ", "")
    assert comparison.config.seeds == tuple(range(10))
    assert "--config.losses=" in comparison.command


def test_pictures_and_figures(comparison: Comparison) -> None:
    shown = comparison.reconstructions()
    names = [axes.texts[0].get_text() for axes in shown.axes]
    assert names == ["original", *stored_sweeps.LOSSES]
    assert comparison.figure("ssim").axes[0].get_xlabel().startswith("ssim")
    for figure in (shown, comparison.figure()):
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="'msee' is not ranked; valid: mse, "):
        comparison.figure("msee")


def test_shows_itself(comparison: Comparison) -> None:
    html = comparison._repr_html_()
    page = Page(html)
    assert page.elements.count("img") == 2
    assert "huber(delta=0.05)" in page.text and "**" not in page.text
    assert comparison.verdict.splitlines()[0] in page.text
    assert "script" not in page.elements
    assert comparison.verdict in repr(comparison)


def test_a_name_is_no_markup(tmp_path: Path) -> None:
    sweep = Sweep(datasets=("<b>x</b>",), losses=("bce", "mse"))
    stored_sweeps.write(tmp_path, sweep)
    assert "<b>x" not in Comparison.of(tmp_path)._repr_html_()


def test_the_report_goes_where_it_is_asked(
    comparison: Comparison, tmp_path: Path
) -> None:
    page = comparison.report().read_bytes()
    assert comparison.report(tmp_path / "page.html").read_bytes() == page
    assert comparison.report(tmp_path / "page.html").read_bytes() == page  # again
    copy = comparison.report(tmp_path / "whole")
    assert copy.read_bytes() == page and (copy.parent / "rows.csv").is_file()
    (tmp_path / "mine.html").write_text("mine")
    for taken in ("mine.html", "whole"):
        with pytest.raises(UserError):
            comparison.report(tmp_path / taken)
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    stored_sweeps.write(
        tmp_path, Sweep(), lambda result: None if result.run.seed else result
    )
    part = Comparison.of(tmp_path)
    assert part.table().empty and "missing" in part.verdict
    assert "missing" in part._repr_html_()
    with pytest.raises(UserError, match="missing"):
        part.figure()
