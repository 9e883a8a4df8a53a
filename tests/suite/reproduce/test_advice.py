"""The advisor's choice looked up in whole sweeps, on a table that is planted."""

import pandas as pd

from lossjax.suite import loader
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Verdict
from lossjax.suite.reproduce.study import Record

advice = loader.load(STUDIES["advice"].file)


def line(images: str, seeds: int, tied: bool, **behind: float) -> dict:
    known = {"images": images, "purpose": "squared", "seeds": seeds, "loss": "bce"}
    ends = {f"{rule}_{end}": behind[rule] for rule in behind for end in ("low", "high")}
    return {**known, "compared": "bce mse", "tied": tied, **behind, **ends}


def test_a_choice_that_is_not_tied_for_best_is_named_with_its_cost() -> None:
    table = pd.DataFrame(
        [
            line("digits", 10, True, advised=0.0, bce=0.0, mse=4.0),
            line("mnist", 10, False, advised=9.0, bce=9.0, mse=5.0),
            line("digits", 7, True, advised=0.0, bce=0.0, mse=4.0),
            line("mnist", 7, True, advised=1.0, bce=9.0, mse=1.0),
        ]
    )
    record = Record({}, {"held_out": table}, None, {"quick": False})
    outcome = advice.conclude(record)
    found = {f.key: f for f in outcome.findings}
    assert found["tied_squared_ten"].verdict == Verdict.DIFFERS
    assert found["tied_squared_ten"].reason == "not on mnist (bce, 9 %)"
    assert found["tied_squared_few"].verdict == Verdict.EXPECTED
    assert found["most_squared_ten"].verdict == Verdict.DIFFERS  # always mse loses 5
    assert found["most_squared_few"].verdict == Verdict.EXPECTED
    assert len(outcome.table) == 2
    words = " ".join(advice.answer(outcome.counts).split())  # columns are padded
    assert "| `squared` | on 1 of 2 sets | 4.5 %, at most 9 |" in words
    assert "not there yet: glyphs" in words
