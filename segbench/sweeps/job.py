"""One run of a sweep, in whichever process has been given it."""

from __future__ import annotations

from collections.abc import Sequence


def execute(arguments: Sequence[str]) -> int:
    """Train and evaluate one run in this process, as `segbench train` with these arguments would.

    Returns:
        The exit code: 0, 2 for what the user can mend, 1 for another error, 128 + n where signal n stopped it. What
        happened is in `run.json`.
    """
    import traceback

    from segbench.commands.execution import report

    try:
        return report("train", list(arguments))
    except Exception:
        traceback.print_exc()
        return 1
