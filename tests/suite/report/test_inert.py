"""Hostile names and messages: shown in page, tables, figures and console, obeyed by
none of what reads those.
"""

import csv
import dataclasses
import io
import re
import unicodedata
import xml.etree.ElementTree
from pathlib import Path

import pages
import pytest
import stored_sweeps
from matplotlib.figure import Figure

from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.config import Sweep
from lossjax.suite.report import console, inert
from lossjax.suite.report.album import Album
from lossjax.suite.report.build import Summary, build
from lossjax.suite.store.results import Result, Run

NAMES = (
    "<script>alert(1)</script><!-- -->",
    '"><img src=x onerror=alert(1)> <a href=http://x>',
    """=HYPERLINK("http://x")""",
    "+1+cmd|' /C calc'!A0",
    "-2+3|b|",
    "@SUM(A1) [x](javascript:alert(1)) ![x](http://x)",
    "\t=1 mse[straight_through](g=1) `x` **b**",
    r"$\frac$ \input{/etc/passwd}",
    "a & b % c # d _ e ^ f ~ {{ 7 * 7 }} %s ../../../x",
    "\x1b[31mred \x1b]8;;http://x\x07",
    "two\nlines\r \u202egnp.exe \u2066\u200b\ufeff",
    "$(touch x) `id` " + "x" * 300,
)
DATASET = "images:/" + "<b>/$(id)/" + "y" * 300
PLAIN = re.compile(r"\\(pm|downarrow|uparrow)\b")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The report of a sweep whose every name is hostile."""
    out = tmp_path_factory.mktemp("hostile")
    sweep = Sweep(
        datasets=(DATASET,), losses=NAMES, learning_rates=(3e-3,), seeds=(0, 1)
    )

    def fail(result: Result) -> Result:
        if result.run.seed == 1 and result.run.loss in NAMES[:2]:
            return Result(result.run, "failed", message=" ".join(NAMES))
        return result

    with pytest.MonkeyPatch.context() as patch:
        losses = {name: place for place, name in enumerate(NAMES)}
        patch.setattr(stored_sweeps, "LOSSES", losses)
        stored_sweeps.write(out, sweep, fail)
        strange = out / "runs" / "<b>=1"
        strange.mkdir()
        (strange / "result.json").write_text("{}")
        return build(out)


def shows_controls(text: str) -> list[str]:
    return [c for c in text if unicodedata.category(c)[0] == "C" and c != "\n"]


def test_the_page_shows_every_name_and_runs_its_own_script(summary: Summary) -> None:
    text = summary.page.read_text()
    assert not shows_controls(text)
    page = pages.obeys_nothing(text)
    for name in NAMES:
        assert " ".join(inert.visible(name).split()) in " ".join(page.text.split())


def test_figures_are_sound_files_with_names_for_any_system(summary: Summary) -> None:
    files = sorted(summary.page.parent.glob("figures/*.svg"))
    assert files
    for path in files:
        xml.etree.ElementTree.fromstring(path.read_text())
    for path in summary.page.parent.rglob("*"):
        assert re.fullmatch(r"[\w.=+-]{1,200}", path.name), path.name


def test_letters_that_the_font_lacks_are_drawn_without_a_word(tmp_path: Path) -> None:
    figure = Figure((1, 1))
    figure.suptitle("a \u5b57 \x07")
    Album(tmp_path).add("x", figure, "alt")  # a warning would be an error here
    assert (tmp_path / "x.png").stat().st_size > 100


def test_no_cell_is_a_formula_of_a_spreadsheet(summary: Summary) -> None:
    files = [
        *summary.page.parent.glob("tables/*.csv"),
        summary.page.with_name("rows.csv"),
    ]
    losses = set()
    for path in files:
        text = path.read_text()
        for line in csv.DictReader(io.StringIO(text)):
            losses.add(line.get("loss"))
            for cell in [*line, *line.values()]:
                if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
                    float(cell)
    assert {"'" + NAMES[3], "'-2+3|b|", NAMES[-1]} <= losses


def test_no_cell_is_markup_of_markdown(summary: Summary) -> None:
    for path in summary.page.parent.glob("tables/*.md"):
        text = path.read_text()
        assert not shows_controls(text)
        assert not re.search(r"<\w|\]\(|(?<!\\)[`$]", text)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(bars) == 1, path.name


def test_no_cell_is_a_command_of_tex(summary: Summary) -> None:
    for path in summary.page.parent.glob("tables/*.tex"):
        text = path.read_text()
        assert not shows_controls(text)
        assert not re.search(r"\\(input|frac)", text)
        body = text.replace(r"\$", "")
        for mathematics in re.findall(r"\$(.*?)\$", body, re.DOTALL):
            assert PLAIN.fullmatch(mathematics), mathematics


def test_the_console_obeys_nothing(summary: Summary) -> None:
    text = io.StringIO()
    shown = dataclasses.replace(summary, out=Path("DIR"))
    console.render(shown, Terminal(file=text, width=200))
    assert not shows_controls(text.getvalue())
    assert r"\x1b[31mred" in text.getvalue()


@pytest.mark.parametrize("name", ["a" * 500, "/" * 500 + "b", "字" * 500])
def test_a_slug_is_short_and_of_that_name_alone(name: str) -> None:
    assert len(inert.slug(name)) <= 120
    assert inert.slug(name + "x") != inert.slug(name) or not name.isascii()
    assert inert.slug("digits / conv_ae") == "digits_conv_ae"


def test_numbers_stay_numbers_in_a_csv() -> None:
    assert [inert.csv_cell(x) for x in (-1.5, "-1.5", "-1e-3", "", None)] == [
        -1.5,
        "-1.5",
        "-1e-3",
        "",
        None,
    ]


def test_runs_are_written_as_they_are() -> None:
    """What is kept is never escaped: the name is part of what a run is."""
    run = Run("digits", "conv_ae", NAMES[0], 1e-3, 0, 8, 10, {})
    assert run.to_json()["loss"] == NAMES[0]


def test_no_line_of_prose_ends_within_a_flag() -> None:
    html = '<p>say --config.seeds=0,1 <a title="--out=a">--out</a> a--b -- --x</p>--q'
    html += "<pre>sweep --out=a\n<b>--c</b></pre>"
    flag = '<span class="flag">{}</span>'.format
    assert inert.unbroken(html) == (
        f'<p>say {flag("--config.seeds=")}0,1 <a title="--out=a">{flag("--out")}</a> '
        f"a--b -- {flag('--x')}</p>{flag('--q')}"
        "<pre>sweep --out=a\n<b>--c</b></pre>"
    )
