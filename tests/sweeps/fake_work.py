"""What a worker process executes in tests of the launcher: it writes down where it is, and behaves as its name says."""

import json
import os
import signal
import time
from pathlib import Path


def work(arguments: list[str], path: Path) -> int:
    """A run without training. Its name is that of its folder, up to the first `_`."""
    path.mkdir(parents=True, exist_ok=True)
    attempts = [*path.glob("attempt*")]
    start = time.monotonic()  # one clock for all processes of a machine
    fact = {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ["OMP_NUM_THREADS"]}
    note = path / f"attempt{len(attempts)}"
    _write(note, fact)
    kind = path.name.partition("_")[0]
    if kind == "dies" and not attempts:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exits" and not attempts:
        os._exit(3)
    if kind == "raises":
        raise OSError(28, "No space left on device")
    code = _wait(path, stubborn=kind == "stubborn") if kind in ("waits", "stubborn") else 0
    if kind == "long":
        time.sleep(1)
    time.sleep(0.1)
    _write(note, fact | {"start": start, "end": time.monotonic()})
    _record(path, "interrupted" if code else "finished")
    return code


def _wait(path: Path, stubborn: bool) -> int:
    """Until a signal comes, as a run that has no end; a stubborn one does not end then either."""
    received: list[int] = []
    before = {one: signal.signal(one, lambda one, _: received.append(one)) for one in (signal.SIGTERM, signal.SIGINT)}
    _record(path, "running")
    while not received or stubborn:
        time.sleep(0.05)
    time.sleep(0.5)  # for further ones, which must not come
    (path / "signals").write_text(json.dumps(received))
    for one, handler in before.items():
        signal.signal(one, handler)
    return 128 + received[0]


def _record(path: Path, status: str) -> None:
    times = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00"}
    _write(path / "run.json", {"id": "0", "name": path.name, "status": status, **times})


def _write(path: Path, content: dict[str, object]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)
