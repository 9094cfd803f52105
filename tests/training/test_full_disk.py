"""A disk that is full or cannot be written: one line that says so, nothing lost, and the rerun goes on."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from segbench.system.logfile import LogFile
from tests.faults import Command, Fault
from tests.kill_runs import RUN, VARIANTS, Reference, damage, differences

FULL = (
    ("open decoded case", 3), ("open last.ckpt", 2), ("open cases.csv", 0), ("open previews", 1), ("open run.json", -1),
)  # fmt: skip
"""When the disk becomes full; -1 stands for the last time."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run that always had space."""
    return Reference(tmp_path_factory.mktemp("reference") / "a", VARIANTS["plain"])


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system of some KiB, where this user may."""
    mounted = []

    def make(kilobytes: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        options = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "segbench-test", str(folder)]
        if shutil.which("mount") is None or subprocess.run(options, capture_output=True).returncode:
            pytest.skip("this user cannot mount a file system")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def scores(tmp_path):
    """A table of scores of two methods."""
    rows = [
        f"{method},case{case},{0.5 + 0.01 * case * factor}"
        for case in range(9)
        for method, factor in (("a", 1), ("b", 3))
    ]
    (tmp_path / "scores.csv").write_text("\n".join(["method,case,value", *rows]) + "\n")
    return tmp_path / "scores.csv"


@pytest.fixture
def read_only(small_disk):
    """Makes a folder read-only: by its mode, or for root, whom modes do not bind, as a file system."""
    locked = []

    def lock(folder: Path) -> None:
        if os.geteuid():
            folder.chmod(0o555)
            locked.append(folder)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)

    yield lock
    for folder in locked:
        folder.chmod(0o755)


def only_line(text: str) -> str:
    """The line that a refused command prints last; before it there may be what it had to say anyway."""
    assert "Traceback" not in text, text
    told = [line for line in text.splitlines() if line.startswith("segbench: ") and " lacks lines: " not in line]
    assert len(told) == 1, text
    assert text.splitlines()[-1] == told[0]
    return told[0]


@pytest.mark.parametrize(("moment", "number"), FULL)
def test_a_disk_that_fills_up(reference, tmp_path, moment, number):
    fill_up(reference, tmp_path / "a", moment, number)


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_moment(reference, tmp_path):
    for place, (moment, passed) in enumerate(reference.moments.items()):
        for number in sorted({0, len(passed) // 2, len(passed) - 1}):
            fill_up(reference, tmp_path / f"{place}-{number}", moment, number)


def fill_up(reference: Reference, folder: Path, moment: str, number: int) -> None:
    """A run whose disk is full from a moment on; then one with space."""
    number %= len(reference.moments[moment])
    code, text = Command(reference.arguments, folder, Fault("full", moment, number)).wait()
    if code:  # a run that has written its last file needs no space
        assert code == 2, text
        assert str(folder) in only_line(text)
        assert "cannot be written" in text
    assert not list(damage(folder, reference.folder))
    code, text = Command(reference.arguments, folder).wait()
    assert code == 0, text
    assert not list(differences(folder, reference.folder))


def test_a_log_that_cannot_be_written_is_said_once(capsys):
    handler = LogFile("/dev/full", delay=True)
    for text in ("one", "two"):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, text, None, None))
    handler.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "segbench: /dev/full lacks lines: No space left on device"


def test_a_log_that_cannot_be_opened_is_said_once(tmp_path, capsys):
    handler = LogFile(str(tmp_path / "nowhere" / "run.log"), delay=True)
    for text in ("one", "two"):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, text, None, None))
    handler.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert "lacks lines: No such file" in line


@pytest.mark.slow
def test_a_real_full_disk_with_wandb(reference, small_disk):
    disk = small_disk(1200)
    arguments = (*RUN, *VARIANTS["wandb"])
    (disk / "filler").write_bytes(bytes(700_000))
    code, text = Command(arguments, disk / "a").wait()
    assert code == 2, text
    line = only_line(text)
    assert "No space left on device" in line
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    code, text = Command(arguments, disk / "a").wait()
    assert code == 0, text


def test_a_run_directory_that_is_read_only(small_disk, read_only):
    disk = small_disk(1000)
    read_only(disk)
    code, text = Command((*RUN, *VARIANTS["plain"]), disk).wait()
    assert code == 2
    assert str(disk) in only_line(text)


def test_a_sweep_directory_that_is_read_only(small_disk, read_only, tmp_path):
    disk = small_disk(1000)
    read_only(disk)
    sweep = ("-m", "seed=0,1", f"hydra.sweep.dir={disk / 'sweep'}")
    code, text = Command((*RUN, *VARIANTS["plain"], *sweep), tmp_path / "a").wait()
    assert code == 2
    assert str(disk) in only_line(text)


def test_a_comparison_that_cannot_be_written(scores, small_disk, read_only, tmp_path):
    disk = small_disk(1000)
    read_only(disk)
    arguments = ("compare", f"scores={scores}", f"output={disk / 'comparison'}", "bootstraps=100", "better=larger")
    code, text = Command(arguments, tmp_path).wait()
    assert code == 2
    assert str(disk / "comparison") in only_line(text)


def test_a_comparison_for_which_there_is_no_space_leaves_the_one_before(scores, small_disk, tmp_path):
    disk = small_disk(20_000)
    arguments = ("compare", f"scores={scores}", f"output={disk / 'comparison'}", "bootstraps=100", "better=larger")
    code, text = Command(arguments, tmp_path).wait()
    assert code == 0, text
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    used = 4 * sum(-(-len(content) // 4096) for content in before.values())  # KiB, in pages
    subprocess.run(["mount", "-o", f"remount,size={used + 60}k", str(disk)], check=True)
    code, text = Command(arguments, tmp_path).wait()
    assert code == 2
    assert "No space left on device" in only_line(text)
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
