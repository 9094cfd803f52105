"""Many runs in one process leave nothing behind in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"memory (?P<before>\d+) and (?P<after>\d+) MiB .* open files (?P<files>\d+) and (?P<more>\d+)")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("logger", ["csv", "wandb", "tensorboard"])
def test_memory_and_open_files_do_not_grow_from_the_tenth_run_on(logger):
    done = subprocess.run(
        [sys.executable, "benchmarks/sweep_overhead.py", "30", f"logger={logger}", "trainer=debug",
         "data.dataset.size=[96,96]", "data.patch_size=[32,32]", "model.channels=[4,8]", "metrics=overlap"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = LINE.search(done.stdout)
    assert int(found["after"]) < 1.05 * int(found["before"])
    assert int(found["more"]) <= int(found["files"])
