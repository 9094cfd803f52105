"""Commands in forked processes whose disk fills up, or which are killed, at a chosen moment.

A moment is the n-th time that a process does one thing: opens, flushes, renames, links or removes a certain file, makes
a folder, begins a training step or a case. The seconds of importing PyTorch are spent once, in the process that the
others are forked from.
"""

import collections
import contextlib
import faulthandler
import fcntl
import functools
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PRELOADED = [
    "segbench.training.run", "segbench.commands.train", "segbench.commands.run_scores",
    "segbench.data.datasets.synthetic_cells", "segbench.loggers.wandb", "segbench.compare.report.page.page",
    "matplotlib.backends.backend_agg", "matplotlib.figure", "tests.faults",
]  # fmt: skip
"""What a run imports; nothing of it starts a thread."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

STEPS = {"training_step": "training step", "validation_step": "validation case", "test_step": "test case"}
"""Methods of the module that count as moments."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a process, and when.

    Attributes:
        what: "kill", "kill tree" (W&B's process too), "delay" (killed `amount` seconds later), "torn" (killed in the
            middle of a write, after `amount` bytes of a file), "full" (from now on no file grows any more).
        moment: such as "rename run.json", see `Watch`.
        number: how many times the moment has passed before.
        amount: of the kinds above that have one.
    """

    what: str
    moment: str
    number: int
    amount: float = 0

    def __str__(self) -> str:
        amount = {"delay": f" + {1000 * self.amount:.1f} ms", "torn": f" after {self.amount:.0f} bytes"}
        return f"{self.what} at {self.moment} #{self.number}{amount.get(self.what, '')}"


class Watch:
    """Counts the moments of this process, writes them down, and lets the fault happen at its own.

    Args:
        root: only files below it count.
        fault: what goes wrong, or None.
        record: where each moment is written to, one line of JSON each, or None.
    """

    def __init__(self, root: Path, fault: Fault | None, record: Path | None) -> None:
        self.root = f"{root}{os.sep}"
        self.fault = fault
        self.counts: collections.Counter[str] = collections.Counter()
        self.process = os.getpid()  # workers are forked with all this and are not meant
        self.record = None if record is None else os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def install(self) -> None:
        """Begins. It cannot be undone: a process of its own is needed."""
        from segbench.training.module import SegmentationModule

        for name, moment in STEPS.items():
            setattr(SegmentationModule, name, self._before(getattr(SegmentationModule, name), moment))
        fsync = os.fsync

        def flush(handle: int) -> None:
            self._file("flush", os.readlink(f"/proc/self/fd/{handle}"), os.fstat(handle).st_size)
            fsync(handle)

        os.fsync = flush
        sys.addaudithook(self._event)

    def _before(self, method, moment):
        @functools.wraps(method)  # Lightning looks at the names of the arguments
        def with_moment(*values, **named):
            self._pass(moment)
            return method(*values, **named)

        return with_moment

    def _event(self, event: str, values: tuple) -> None:
        if event == "open" and isinstance(values[0], str | bytes | Path) and values[2] & WRITING:
            self._file("open", values[0])
        elif event in ("os.rename", "os.link"):
            self._file(event[3:], values[1])
        elif event in ("os.mkdir", "os.remove", "os.rmdir"):
            self._file(event[3:], values[0])

    def _file(self, verb: str, path, size: int = 0) -> None:
        path = os.path.abspath(os.fsdecode(path))
        if path.startswith(self.root):
            self._pass(f"{verb} {_name(path[len(self.root) :])}", size)

    def _pass(self, moment: str, size: int = 0) -> None:
        if os.getpid() != self.process:
            return
        number = self.counts[moment]
        self.counts[moment] += 1
        if self.record is not None:
            os.write(self.record, (json.dumps([moment, size]) + "\n").encode())
        if self.fault is not None and (moment, number) == (self.fault.moment, self.fault.number):
            _happen(self.fault)


def _name(path: str) -> str:
    """The kind of file: temporary and final name are one, and so are the cases' files and those of W&B."""
    first, _, rest = path.partition(os.sep)
    if first == "cache":
        return "decoded " + ("index" if rest.endswith("index.json") else "case" if rest.endswith(".npy") else "folder")
    parts = rest.split(os.sep)
    if parts[0] in ("wandb", "predictions", "previews") and len(parts) > 1:
        return parts[0]
    return re.sub(r"^\.(.+?)(\.[0-9a-f]{6}-\d+)?\.tmp$", r"\1", parts[-1] or "run directory")


def _happen(fault: Fault) -> None:
    if fault.what == "full":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    elif fault.what == "torn":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # ends the process at the byte that is too many
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(fault.amount), hard))
    elif fault.what == "delay":
        signal.setitimer(signal.ITIMER_REAL, max(fault.amount, 1e-6))  # its default action ends the process
    else:
        if fault.what == "kill tree":
            for child in _children():
                os.kill(child, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def _children() -> list[int]:
    return [
        int(child) for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()
    ]


class Command:
    """A command that runs in a process of its own, forked from one that has everything imported.

    Args:
        arguments: as typed; to those of a run its directory is added.
        folder: gets `run`, the run directory, and `cache`, the decoded images.
        fault: what goes wrong in it, or None.
        record: the file that its moments are written to, or None.
    """

    start_method = "forkserver"
    """ "fork" is quicker where this process has imported everything and has done nothing with it: no threads."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, fault: Fault | None = None, record: Path | None = None
    ) -> None:
        context = multiprocessing.get_context(self.start_method)
        if self.start_method == "forkserver":
            context.set_forkserver_preload(PRELOADED)
        # A pipe: a limit on the size of files does not reach it.
        self._reader, writer = context.Pipe(duplex=False)
        fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, 2**20)
        self.process = context.Process(target=_execute, args=(tuple(arguments), folder, writer, fault, record))
        self.process.start()
        writer.close()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.process.kill()

    def wait(self, seconds: float = 240) -> tuple[int, str]:
        """Waits for its end.

        Returns:
            The exit code, -n where signal n ended it, and what it has printed.
        """
        self.process.join(seconds)
        late = self.process.exitcode is None
        if late:
            os.kill(self.process.pid, signal.SIGABRT)  # it says where it is
            self.process.join()
        os.set_blocking(self._reader.fileno(), False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._reader.fileno(), 2**20):
                text += part
        self._reader.close()
        if late:
            raise TimeoutError(f"not ended within {seconds} s: {text.decode(errors='replace')}")
        return self.process.exitcode, text.decode(errors="replace")


def _execute(arguments: Sequence[str], folder: Path, output, fault: Fault | None, record: Path | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, place in (("SEGBENCH_CACHE", "cache"), ("WANDB_CACHE_DIR", "wandb"), ("WANDB_DATA_DIR", "wandb")):
        os.environ[name] = str(folder / place)
    os.environ.pop("WANDB_MODE", None)
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    faulthandler.enable()
    folder.mkdir(parents=True, exist_ok=True)
    Watch(folder, fault, record).install()
    from segbench.__main__ import main

    place = [] if arguments[0] == "compare" or "-m" in arguments else [f"hydra.run.dir={folder / 'run'}"]
    sys.argv = ["segbench", *arguments, *place]
    main()
