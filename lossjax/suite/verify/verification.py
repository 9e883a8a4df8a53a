"""Everything that `verify` looks at, in order."""

from collections.abc import Iterator
from pathlib import Path

from lossjax.suite.cli.errors import UserError
from lossjax.suite.verify import comparison, rebuild, soundness
from lossjax.suite.verify.archive import read


def problems(out: Path) -> Iterator[str]:
    """Everything that does not hold, each in one line; nothing where all does.

    Raises:
      UserError: there is no sweep or no report to verify.
    """
    if (out / "sweep.json").is_file() and not (out / "report").is_dir():
        raise UserError(f"--out={out}: holds no report; ./run.sh report --out={out}")
    try:
        archive = read(out)
    except ValueError as error:
        yield f"sweep.json: {error}"
        return
    unsound = list(soundness.problems(archive))
    yield from unsound
    if unsound:
        yield "the report's numbers were not compared: mend the stored runs first"
        return
    yield from comparison.problems(archive, out / "report")
    yield from rebuild.problems(out)
