"""Sets limits, then executes a program: ``python exec_with_limits.py as=1000000 cpu=3 -- PROGRAM …``.

Used where there is no ``prlimit``. The limits are set before the program's first instruction. It runs as a script of
its own, so it imports only the standard library.
"""

from __future__ import annotations

import os
import resource
import sys


def main(arguments: list[str]) -> int:
    """Returns only on failure: 1 if a limit cannot be set, 126 if the program cannot be executed."""
    end = arguments.index("--")
    try:
        for limit in arguments[:end]:
            name, _, bound = limit.partition("=")
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (int(bound), int(bound)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the limit {limit} cannot be set: {error}\n")
        return 1
    program = arguments[end + 1]
    try:
        os.execv(program, arguments[end + 1 :])  # noqa: S606  # an argv, in which each value is one element
    except OSError as error:
        sys.stderr.write(f"{program}: {error.strerror}\n")
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
