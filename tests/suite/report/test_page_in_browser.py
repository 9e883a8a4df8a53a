"""The page as a reader with a browser has it: sorted, saved, looked at, by keys too."""

from pathlib import Path
from typing import Any

import pytest
import stored_sweeps
from browser import ask, needs_chromium

from lossjax.suite.config import Sweep
from lossjax.suite.report.build import build
from lossjax.suite.reproduce import page as reproduced
from lossjax.suite.reproduce.catalogue import STUDIES

pytestmark = [needs_chromium, pytest.mark.slow]
SWEEP = Sweep(
    losses=tuple(stored_sweeps.LOSSES), learning_rates=(3e-3,), train_steps=200
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    stored_sweeps.write(out, SWEEP)
    return build(out).page


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies as they are published: one with a floor, one with links."""
    page = tmp_path_factory.mktemp("studies") / "index.html"
    chosen = {name: STUDIES[name] for name in ("bce_floor", "improper")}
    page.write_text(reproduced.page(chosen, page.parent), encoding="utf-8")
    return page


LOOK = """
document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
const long = " --config." + "0.001,".repeat(99);
document.querySelector("main p").append(long);
const areas = [...document.querySelectorAll(".scroll")];
const within = (area) => [area, ...area.querySelectorAll("*")];
const stops = (area) => within(area).filter((e) => e.tabIndex >= 0);
const named = (e) => e.textContent.trim() || e.ariaLabel || e.labels?.length;
const buttons = [...document.querySelectorAll("button, select, input, a")];
const seen = {
  unlabelled: areas.filter((a) => !a.ariaLabel).length,
  links: areas.map((a) => a.querySelectorAll("tbody a").length),
  stops: areas.map((a) => stops(a).length),
  nameless: buttons.filter((b) => !named(b)).length,
};
for (const width of [1280, 390]) {
  frameElement.width = width;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const flags = [...document.querySelectorAll(".flag")];
  seen[width] = {
    wide: areas.filter((a) => a.scrollWidth > a.clientWidth + 1).map((a) => a.id),
    page: document.documentElement.scrollWidth,
    flags: flags.length,
    broken: flags.filter((f) => f.getClientRects().length > 1).length,
  };
}
return seen;
"""


@pytest.mark.parametrize("which", ["page", "studies"])
def test_nothing_is_hidden_and_a_table_is_one_tab_stop(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seen = ask(request.getfixturevalue(which), LOOK, tmp_path)
    assert seen["unlabelled"] == seen["nameless"] == 0
    stops = zip(seen["stops"], seen["links"], strict=True)
    assert {here - links for here, links in stops} == {1}
    assert seen["1280"]["wide"] == []
    for width in ("1280", "390"):
        assert seen[width]["page"] <= int(width)
        assert seen[width]["flags"] > 0 == seen[width]["broken"]


USE = """
const table = document.querySelector("#rankings table");
const heads = [...table.tHead.rows[0].cells];
const head = (name) => heads.find((h) => h.textContent.startsWith(name));
const by = (name) => head(name).querySelector("button");
const first = () => table.tBodies[0].rows[0].cells[0].textContent.trim();
const sorted = () => heads.map((h) => h.ariaSort).filter(Boolean);
const told = { before: [first(), sorted()] };
by("ssim").click(); told.once = [first(), sorted()];
by("ssim").click(); told.twice = [first(), sorted()];
by("mse").click(); told.lower = [first(), sorted()];
let blob; URL.createObjectURL = (it) => { blob = it; return ""; };
HTMLAnchorElement.prototype.click = () => {};
table.caption.querySelector("button").click();
told.csv = (await blob.text()).split("\\n");
const gallery = document.querySelector(".gallery");
const [show, order] = gallery.previousElementSibling.querySelectorAll("select");
order.value = "mae"; order.dispatchEvent(new Event("change"));
show.value = "maps"; show.dispatchEvent(new Event("change"));
told.maps = [...gallery.querySelectorAll("canvas")].map((c) => c.ariaLabel);
gallery.querySelectorAll("canvas")[2].click();
const board = [...document.querySelectorAll("dialog figcaption")];
told.board = board.map((c) => c.textContent.trim());
document.querySelector("dialog button:last-of-type").click();
const group = [...gallery.previousElementSibling.querySelectorAll("select")][2];
told.groups = [...group.options].map((o) => o.text);
group.value = "8"; group.dispatchEvent(new Event("change"));
gallery.querySelectorAll("canvas")[2].click();
told.eight = document.querySelector("dialog b").textContent;
told.widths = [...gallery.querySelectorAll("canvas")].map((c) => c.width);
const scores = [...document.querySelector("#classes tbody").rows];
const cells = (row) => [...row.cells].map((c) => c.textContent.trim());
told.classes = scores.map(cells);
const box = document.querySelector("header input"); box.click();
const hidden = (row) => row.classList.contains("off");
told.hidden = [...table.tBodies[0].rows].map((r) => [cells(r)[0], hidden(r)]);
return told;
"""


def test_it_sorts_saves_and_shows_differences(page: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = ask(page, USE, tmp_path)
    assert told["before"] == ["bce", ["ascending"]]
    assert told["once"] == ["bce", ["descending"]]  # higher is better: best first
    assert told["twice"] == ["mae", ["ascending"]]
    assert told["lower"] == ["bce", ["ascending"]]
    assert told["csv"][0] == "loss,mse,mse beside,ssim,ssim beside"
    name, mean, beside, *_ = told["csv"][1].split(",")
    assert (name, beside) == ("bce", "±0.00015")
    assert float(mean) == pytest.approx(0.010 - 0.6e-4)  # in full
    assert told["maps"][:2] == [
        "4 original test images of digits",
        "differences of 4 test images of digits / conv_ae through bce",
    ]
    # Grey 20 more than black, of 255: (20 / 255)^2.
    assert told["board"][0] == "original"
    assert told["board"][1].startswith("bce squared error 0.")
    # Two of the four images are eights, the second and the fourth.
    assert told["groups"] == ["all", "3", "8"]
    assert told["eight"].endswith(" of the gallery, class 8")
    assert set(told["widths"]) == {2 * 8 + 1}
    assert told["classes"] == [
        ["3 100 images", "bce 0.00994; tied: mse", "mae 1.23242"],
        ["8 200 images", "bce 0.00994; tied: mse", "bce 0.90030; tied: mse"],
    ]
    assert [name for name, hidden in told["hidden"] if not hidden] == ["bce"]
    assert len(told["hidden"]) == 4
