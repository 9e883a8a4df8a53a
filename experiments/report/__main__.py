"""`./run.sh report --out=DIR`: rebuild the report from the stored runs."""

import sys
from pathlib import Path

from absl import flags
from rich.console import Console

from experiments.config import UserError
from experiments.report import console
from experiments.report.build import build


def main(arguments: list[str]) -> int:
    """Exit status: 0, or 2 after one line that says what to mend."""
    values = flags.FlagValues()
    flags.DEFINE_string("out", None, "what a sweep wrote", flag_values=values)
    try:
        rest = values(["report", *arguments])[1:]
        if rest:
            raise UserError(f"stray argument {rest[0]!r}: report takes --out=DIR only")
        if not values.out:
            raise UserError("--out=DIR is missing: the directory that a sweep wrote")
        summary = build(Path(values.out))
    except (UserError, flags.Error) as error:
        print(f"report: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    console.render(summary, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
