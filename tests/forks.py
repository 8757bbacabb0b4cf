"""A process that has imported what commands need, and forks one for each command.

Reads a JSON line for each command: its `module`, `words`, `cwd` and `env`, and the
files that `out` and `err` go to. Answers with a line: the exit status, a signal's
number below 0.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import sys
import traceback
from typing import Any, NoReturn

import clbench.cell
import clbench.cli.running  # noqa: F401


def become(
    module: str, words: list[str], cwd: str, env: dict[str, str], out: str, err: str
) -> None:
    """Become `python -m <module>`; raises SystemExit as that does."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, name in enumerate((os.devnull, out, err)):
        os.dup2(os.open(name, os.O_RDWR), number)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end(asked: dict[str, Any]) -> NoReturn:
    """Run a command and leave at once: an interpreter that is taken down bit by bit
    copies all that it shares with its parent, which takes longer than most commands.
    """
    status: object = 0
    try:
        become(**asked)
    except SystemExit as wanted:
        status = wanted.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            end(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
