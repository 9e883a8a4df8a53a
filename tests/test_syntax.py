"""How losses, models and datasets are written, and how a wrong name is mended."""

import pytest

from lossjax.suite.cli.errors import DataError, UserError, unknown
from lossjax.suite.wording import count
from lossjax.syntax import nearest, read_call


def test_a_call_is_taken_apart() -> None:
    call = read_call(
        " power[weigh+mse_norm]( g = -0.25, law='none', noise=gauss) ", "x"
    )
    assert call.name == "power" and call.cuts == ("weigh", "mse_norm")
    given = {name: value.literal for name, value in call.values.items()}
    assert given == {"g": -0.25, "law": "none", "noise": "gauss"}


def test_nothing_is_evaluated() -> None:
    call = read_call("power(g=__import__('os').getcwd())", "loss")
    assert call.values["g"][:2] == (None, "__import__('os').getcwd()")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("power(0.5)", "every argument needs its keyword"),
        ("power(**{'g': 1})", "** is not valid"),
        ("power(g=1, g=2)", "g"),
        ("power(", "written name or name(keyword=number"),
        ("a.b", "written name or name(keyword=number"),
        ("power[1]", "cuts are written [cut]"),
        ("(" * 500, "written name or name(keyword=number"),
        ("power\0", "written name or name(keyword=number"),
    ],
)
@pytest.mark.parametrize("kind", ["loss", "model", "dataset"])
def test_what_cannot_be_read_is_one_line(text: str, words: str, kind: str) -> None:
    with pytest.raises(ValueError) as refusal:
        read_call(text, kind)
    assert words in str(refusal.value) and kind in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


def test_the_nearest_name_in_whatever_case() -> None:
    assert nearest("HUBR", ["mse", "Huber"]) == "Huber"
    assert nearest("zzz", ["mse", "Huber"]) is None
    assert "did you mean 'Huber'?" in str(unknown("loss", "hubr", ["mse", "Huber"]))


def test_an_error_is_one_line_and_data_errors_are_the_users() -> None:
    assert str(DataError("two\n   lines")) == "two lines"
    assert issubclass(DataError, UserError)


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (1, "loss", "1 loss"),
        (2, "loss", "2 losses"),
        (0, "mismatch", "0 mismatches"),
        (1000, "learning rate", "1,000 learning rates"),
    ],
)
def test_counts(n: int, noun: str, words: str) -> None:
    assert count(n, noun) == words
