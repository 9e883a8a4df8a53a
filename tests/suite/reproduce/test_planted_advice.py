"""What the advisor says of planted sets, counted on tables that are planted."""

import pandas as pd

from lossjax.suite import loader
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Verdict
from lossjax.suite.reproduce.study import Conclusion, Record

study = loader.load(STUDIES["planted_advice"].file)
BESIDE = {
    "compared": "bce mse",
    "seeds": 7,
    "rates": 4,
    "steps": 500,
    "seconds": 10.0,
}


def said(law: str, sets: int, tied: str, decided: bool = True) -> list[dict]:
    loss = tied.split()[0]
    known = {"law": law, "loss": loss, "decided": decided, "tied": tied, **BESIDE}
    return [known | {"number": number} for number in range(sets)]


def concluded(*lines: list[dict]) -> Conclusion:
    table = pd.DataFrame([line for some in lines for line in some])
    tables = {study.slug(law): table[table["law"] == law] for law in study.LAWS}
    return study.conclude(Record({}, tables, None, {"quick": False}))


def test_an_undecided_comparison_advises_none_and_wins_none() -> None:
    whole = concluded(
        said("variance s", 24, "bce") + said("variance s", 1, "mse"),
        said("variance s^0.5", 21, "bce power"),
        said("variance s^0.5", 4, "bce mse"),
        said("constant", 24, "mse") + said("constant", 1, "bce mse", decided=False),
        said("laplace", 25, "mse mae"),
        said("no difference", 95, "bce mse") + said("no difference", 5, "mse"),
    )
    found = {f.key: f for f in whole.findings}
    assert found["among"].ours == "94 of 100"  # of 100: mse once, none once, 4 others
    assert found["among"].verdict == Verdict.DIFFERS
    assert "constant: undecided, 1" in found["among"].reason
    assert found["wrong"].ours == "1 of 100"
    assert found["alike"].ours == "5 of 100"
    assert found["alike"].verdict == Verdict.EXPECTED
    assert found["right"].ours == "48 of 100"
    words = study.answer(whole.counts)
    assert "on 94 (alone on 48), another loss wins alone on 1." in words
    assert "Fewest of one law: 21 of 25, variance s^0.5." in words


def test_six_of_a_hundred_are_too_many() -> None:
    laws = [name for name, law in study.LAWS.items() if law.best]
    right = [said(name, 25, study.LAWS[name].best) for name in laws]
    whole = concluded(
        *right, said("no difference", 94, "bce mse"), said("no difference", 6, "bce")
    )
    found = {f.key: f for f in whole.findings}
    assert found["among"].verdict == found["wrong"].verdict == Verdict.EXPECTED
    assert found["alike"].verdict == Verdict.DIFFERS
    assert found["alike"].reason == "no difference: one alone, 6"
