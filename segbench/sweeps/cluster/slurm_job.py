"""One run of a sweep as a job of SLURM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from segbench.sweeps.cluster.stopped_job import STOPS
from segbench.sweeps.job import execute


def run_job(arguments: Sequence[str]) -> None:
    """Execute a run; called by each task of a job.

    While a run can save what it has, its `Stopper` has the signals. Before and after that they end the process at once,
    whatever it is doing: an exception in the middle of an import may be swallowed, or made into another. In both cases
    the exit code says which signal it was, and the job's script queues the job again (`stopped_job`).

    Args:
        arguments: of the command `train`.

    Raises:
        SystemExit: with the exit code of a run that is not finished.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)  # submitit's would end the run as failed, or not at all
    os.environ.pop("HYDRA_FULL_ERROR", None)  # the submitting command's, which prints errors by itself
    code = execute(arguments)
    if code:
        sys.exit(code)
