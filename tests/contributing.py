"""The examples of CONTRIBUTING.md, word for word: the tests run them."""

import re
import textwrap

from lossjax.suite.shipped import ROOT


def example(section: str) -> list[str]:
    """The blocks of code under that heading, in order: of a table's row a bare one."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [
        textwrap.dedent(block)
        for block in re.findall(r"^ *```(?:python)?\n(.*?)```", body, re.DOTALL | re.M)
    ]
