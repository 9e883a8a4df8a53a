"""`./run.sh test [PYTEST ARGUMENTS]`: the static checks, then the tests.

The checks run side by side; where one fails the tests are not run, so that pytest's
closing line comes last. Two processes share the tests, one half of the files each until
one of them is done and takes over what is left of the other's. `-n 0` runs them in one
process, for a debugger say.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECKS = ("ruff check", "ruff format --check", "mypy", "lint-imports --no-logo")


def main() -> None:
    """Runs every check, then becomes pytest."""
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__.strip())
        return
    from lossjax.suite.cli.environment import settle

    settle()
    if not os.access(ROOT, os.W_OK):
        print(f"test: the checks keep caches in {ROOT}: not writable", file=sys.stderr)
        sys.exit(2)
    os.chdir(ROOT)
    tools = Path(sys.executable).parent
    started = {}
    for check in CHECKS:
        program, *arguments = check.split()
        started[check] = subprocess.Popen(
            [tools / program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    for check, process in started.items():
        print(f"== {check}\n{process.communicate()[0]}", end="", flush=True)
    if failed := [check for check, process in started.items() if process.returncode]:
        sys.exit(f"{', '.join(failed)} failed; the tests were not run")
    print("== pytest", flush=True)
    # Hundreds of programs are started; each would compile our modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parallel = ("-n", "2", "--dist", "worksteal")
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *parallel, *sys.argv[1:]])


main()
