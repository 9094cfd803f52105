"""The entry point: `segbench [train] key=value ..`, or another command of `segbench.commands`."""

from __future__ import annotations

import os
import signal
import sys

from segbench import __version__
from segbench.commands.execution import report


def main() -> None:
    """Execute the command that the first argument names, `train` if it names none."""
    if os.getcwd() not in sys.path:
        # As `python -m` does: a `_target_` may be a file of the user's own. Jobs on a cluster ask for a safe path,
        # so that a checkout in the current folder does not come before the code that was submitted.
        sys.path.insert(len(sys.path) if sys.flags.safe_path else 0, os.getcwd())
    arguments = sys.argv[1:]
    if "--version" in arguments:
        print(f"segbench {__version__}")
        return
    command = "train"
    if arguments and not arguments[0].startswith(("-", "+", "~")) and "=" not in arguments[0]:
        command, arguments = arguments[0], arguments[1:]
    try:
        code = report(command, arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    sys.exit(code)


if __name__ == "__main__":
    main()
