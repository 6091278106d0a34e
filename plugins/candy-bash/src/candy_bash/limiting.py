"""Sets limits and becomes a command, where no ``prlimit`` is: ``python limiting.py as=1000000 cpu=3 -- PROGRAM …``.

The limits hold before the command's first instruction. Run as a file of its own: it imports nothing but what comes with
Python.
"""

from __future__ import annotations

import os
import resource
import sys


def main(arguments: list[str]) -> int:
    """Returns an exit code, 1 or 126, only where a limit cannot be set or the program not be executed."""
    end = arguments.index("--")
    try:
        for each in arguments[:end]:
            name, _, bound = each.partition("=")
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (int(bound), int(bound)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the limit {each} cannot be set: {error}\n")
        return 1
    program = arguments[end + 1]
    try:
        os.execv(program, arguments[end + 1 :])  # noqa: S606  # an argv, whose values are each one element
    except OSError as error:
        sys.stderr.write(f"{program}: {error.strerror}\n")
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
