"""What SLURM says, from commands that print what SLURM's print; a real one is in test_slurm.py."""

import os
import re
import sys

import pytest

from segbench.sweeps.cluster import squeue
from segbench.sweeps.cluster.squeue import Ending, Queued, array_size, ending, queue


def test_the_queue(slurm):
    slurm("squeue", "12_0|RUNNING|None\n12_1|PENDING|Resources\n13|COMPLETING|None\n14|COMPLETED|None\nnonsense")
    assert queue() == {
        "12_0": Queued("RUNNING", "None"),
        "12_1": Queued("PENDING", "Resources"),
        "13": Queued("COMPLETING", "None"),
    }


def test_a_controller_that_does_not_answer(slurm):
    slurm("squeue", "slurm_load_jobs error: Unable to contact slurm controller", 1)
    assert queue() is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("JobState=TIMEOUT Reason=TimeLimit ExitCode=0:0", "timeout (TimeLimit)"),
        ("JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125", "out of memory (OutOfMemory, exit code 0:125)"),
        ("JobState=FAILED Reason=NonZeroExitCode ExitCode=137:0", "failed (exit code 137:0)"),
        ("JobState=CANCELLED Reason=None ExitCode=0:15", "cancelled (exit code 0:15)"),
        ("JobState=NODE_FAIL Reason=None ExitCode=0:0", "node fail"),
    ],
)
def test_how_a_job_ended(slurm, facts, said):
    slurm("scontrol", f"JobId=12 JobName=a=b {facts} NodeList=n1")
    assert (how := ending("12")) is not None
    assert how.text == said
    assert how.code == int(re.search("exit code (\\d+):|$", said)[1] or 0)


def test_a_job_that_slurm_has_forgotten(slurm):
    slurm("scontrol", "slurm_load_jobs error: Invalid job id specified", 1)
    assert ending("12") == Ending("")


def test_arrays_are_as_long_as_allowed(slurm):
    slurm("scontrol", "MaxArraySize            = 5001\nMaxJobCount             = 10000")
    assert array_size() == 5000


ARRAY = """\
JobId=27 ArrayJobId=24 ArrayTaskId=0 ArrayTaskThrottle=2 JobName=a JobState=COMPLETED Reason=None ExitCode=0:0
JobId=28 ArrayJobId=24 ArrayTaskId=1 ArrayTaskThrottle=2 JobName=a JobState=FAILED Reason=NonZeroExitCode ExitCode=137:0
JobId=31 ArrayJobId=24 ArrayTaskId=3-5,8%2 ArrayTaskThrottle=2 JobName=a JobState=PENDING Reason=JobArrayTaskLimit
JobId=24 ArrayJobId=24 ArrayTaskId=2 ArrayTaskThrottle=2 JobName=a JobState=RUNNING Reason=None ExitCode=0:0"""
"""As `scontrol show job -o 24` prints an array, shortened: the task that began last has the number of the array."""


@pytest.mark.parametrize(
    ("job", "state"),
    [("24_0", "COMPLETED"), ("24_1", "FAILED"), ("24_2", "RUNNING"), ("24_4", "PENDING"), ("24_8", "PENDING"),
     ("24_6", None), ("24", None), ("27", None)],
)  # fmt: skip
def test_a_task_is_found_among_all_of_its_array(slurm, job, state):
    slurm("scontrol", ARRAY)
    assert squeue.state_of(job) == state


def test_a_task_ends_while_others_wait(slurm):
    slurm("scontrol", ARRAY)
    endings = [Ending("completed"), Ending("failed (exit code 137:0)", 137), None, None]
    assert [ending(f"24_{task}") for task in (0, 1, 2, 3)] == endings


def test_no_slurm_at_all(monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert squeue.queue() is None
    assert squeue.array_size() == 1000
