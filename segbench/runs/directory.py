"""The run directory: its files, whether it is finished, and the lock that keeps a second process out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pandas as pd
import yaml
from pandas.api.types import is_numeric_dtype

from segbench.errors import MachineError, Stopped, UserError, as_line
from segbench.system.atomic import remove_leftovers, write_atomically
from segbench.system.lock import FileLock
from segbench.system.processes import is_main_process

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds that a patient process waits: for a process killed before that is writing its checkpoint, for an upload, or
for a network file system that has lost a node."""

Status = Literal["running", "finished", "failed", "interrupted", "pruned"]

DONE: tuple[Status, ...] = ("finished", "pruned")
"""States that a rerun leaves as they are; a search has ended a pruned run early, and its test cases are not scored."""

CONFIG = "config.yaml"
SPLIT = "split.json"

_BEGIN, _END = "---\n", "...\n"
"""YAML's marks of a document: a file that begins with the one and does not end with the other was cut off."""

CASE_COLUMNS = (
    "dataset", "split", "fold", "seed", "case", "group", "class", "metric", "value", "n_ref", "n_pred",
)  # fmt: skip
"""The columns of `cases.csv`: one row per case, class and metric; an empty value is an absent class."""


class RunDirectory:
    """One run on disk. A context manager: open while the run is executed, locked against others.

    Of several processes of one run only the first writes; the others find a directory whose methods
    do nothing.

    Leaving it by an exception records the run as failed, or as interrupted on Ctrl-C or a signal; it
    is continued by the next process that opens it.

    Attributes:
        path: the folder.
        record: what `run.json` holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: dict[str, Any] = _read_record(path)
        self._lock = FileLock(path / ".lock")

    @property
    def status(self) -> Status | None:
        """The recorded status; None for a new directory."""
        return self.record.get("status")

    @property
    def finished(self) -> bool:
        """True if everything that the run should leave is there."""
        return self.status == "finished"

    @property
    def done(self) -> bool:
        """True if nothing is left to do for it."""
        return self.status in DONE

    @property
    def last_checkpoint(self) -> Path:
        """The whole state of the training, written at every validation."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def former_checkpoint(self) -> Path:
        """The state before the newest one, from which a run goes on where that one is damaged; gone in the end."""
        return self.path / "checkpoints" / "former.ckpt"

    @property
    def states(self) -> list[Path]:
        """The files of states from which the training can go on, the newest first."""
        return [path for path in (self.last_checkpoint, self.former_checkpoint) if path.exists()]

    @property
    def best_checkpoint(self) -> Path:
        """The weights with the best score on the validation cases."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def cases(self) -> Path:
        """The table of scores."""
        return self.path / "cases.csv"

    def open(self, identity: str, patient: bool = False) -> Self:
        """Take the lock and check that the directory is new or belongs to this run.

        Args:
            identity: of the run.
            patient: whether to wait some minutes for a process that has the directory.

        Raises:
            UserError: where it cannot be written, another process has it, or it holds another run.
        """
        if not is_main_process():
            return self
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            (self.path / "previews").mkdir(exist_ok=True)
            holder = self._lock.acquire()
            if holder is not None and patient:
                log.info("waiting for %s, which has %s", holder, self.path)
                holder = self._lock.acquire(PATIENCE)
            if holder is None:
                remove_leftovers(self.path, "", "checkpoints", "previews", "predictions")
        except OSError as error:
            self.close()
            raise UserError(f"hydra.run.dir: cannot write to {self.path}: {error.strerror}") from None
        if holder is not None:
            raise UserError(f"{self.path} is in use by {holder}: wait for it, or choose another hydra.run.dir")
        try:
            self.record = _read_record(self.path)
            if self.record.get("id", identity) != identity:
                raise UserError(
                    f"{self.path} holds another run (id {self.record['id']}, this one is {identity}):"
                    " choose another hydra.run.dir, or delete it"
                )
            if not self.record and self.states:
                raise UserError(
                    f"{self.path} has checkpoints, but no run.json that says of which run: delete {self.path} to make"
                    " the run anew"
                )
        except UserError:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_main_process() and not self.done and self.record:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit | Stopped)
            status: Status = "interrupted" if stopped else "failed"
            with suppress(UserError):  # the disk is full: the first error is the one to report
                self.update(status=status, error=_reason(error), needs_user=_needs_user(error))
        self.close()

    def update(self, **facts: Any) -> None:
        """Add facts to `run.json`; `status` is one of them."""
        self.record |= facts
        if is_main_process():
            write_atomically(self.path / "run.json", json.dumps(self.record, indent=2) + "\n")

    def start(self, config_yaml: str, facts: Mapping[str, Any]) -> None:
        """Record that the run is under way, and with which configuration."""
        if is_main_process():
            write_atomically(self.path / CONFIG, f"{_BEGIN}{config_yaml}{_END}")
        started = self.record.get("started", now())
        self.update(**facts, status="running", error=None, needs_user=False, started=started)

    def write_split(self, split: Mapping[str, Any]) -> None:
        """Record which cases were in which part."""
        if is_main_process():
            write_atomically(self.path / SPLIT, json.dumps(split, indent=1) + "\n")

    def write_cases(self, rows: Sequence[Mapping[str, Any]], name: str = "cases.csv") -> Path:
        """Write the table of scores."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, pd.DataFrame(rows, columns=list(CASE_COLUMNS)).to_csv(index=False))
        return path

    def finish(self, **facts: Any) -> None:
        """Record the run as finished: the last thing written."""
        if is_main_process():
            self.former_checkpoint.unlink(missing_ok=True)
        self.update(**facts, status="finished", finished=now())

    def record_failure(self, error: Exception) -> None:
        """Record why a run never began, so that its sweep can say so; do nothing for a run that did."""
        self._end("failed", (None,), _reason(error), _needs_user(error))

    def record_end(self, error: str, needs_user: bool = False) -> None:
        """Record a failure of a run that could not do so itself: it never began, or its process is gone.

        Nothing for a run that a process has, nor for a run that has recorded how it ended.

        Args:
            error: why it ended.
            needs_user: whether to try again is of no use.
        """
        self._end("failed", (None, "running", "interrupted"), error, needs_user)

    def record_stop(self, reason: str) -> None:
        """Record that a signal has stopped a run that could not do so itself, as `record_end` records failures."""
        self._end("interrupted", (None, "running"), reason, needs_user=False)

    def _end(self, status: Status, where: Sequence[Status | None], error: str, needs_user: bool) -> None:
        with suppress(OSError, UserError):  # a full disk: the first error is the one to report
            self.path.mkdir(parents=True, exist_ok=True)
            with self._alone() as alone:
                if alone and self.status in where:
                    self.update(status=status, error=error, needs_user=needs_user)

    def forget_failure(self) -> None:
        """Prepare a run to be tried again: how it ended before is not taken for how it ends then."""
        ended: tuple[Status, ...] = ("failed", "interrupted")
        if self.status not in ended:
            return
        with suppress(OSError, UserError), self._alone() as alone:
            if not alone or self.status not in ended:
                return
            if "started" in self.record:
                self.update(status="interrupted", error=None, needs_user=False)
            else:
                (self.path / "run.json").unlink()
                self.record = {}

    def discard_if_empty(self) -> None:
        """Remove a directory in which nothing was begun, so that a refused run leaves nothing behind."""
        with suppress(OSError), self._alone() as alone:
            if not alone or self.record:
                return
            for child in ("checkpoints", "previews"):
                _remove(self.path / child, Path.rmdir)
            for child in ("run.log", ".lock"):
                _remove(self.path / child, Path.unlink)
            _remove(self.path, Path.rmdir)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Yield whether no process executes the run while in this context; the record is then as it is on disk now."""
        alone = self._lock.acquire() is None
        try:
            if alone:
                self.record = _read_record(self.path)
            yield alone
        finally:
            if alone:
                self._lock.release()


def now() -> str:
    """The time, as written into records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_cases(path: Path) -> pd.DataFrame:
    """The table of scores, its text columns as text.

    Raises:
        UserError: where it is not there or not whole.
    """
    text = dict.fromkeys(("dataset", "split", "case", "group", "class", "metric"), str)
    try:
        content = path.read_text(encoding="utf-8")
        table = pd.read_csv(io.StringIO(content), dtype=text, keep_default_na=False, na_values={"value": [""]})
        whole = content.endswith("\n") and list(table) == list(CASE_COLUMNS)
        if not whole or not (table.empty or is_numeric_dtype(table["value"])):
            raise ValueError("it is no whole table of scores")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {_damage(error)}; {scored_again(path)}") from error
    return table


def scored_again(table: Path) -> str:
    """The way to a new table of scores, as the end of a message."""
    if table.parent.name == "unseen":
        return f"segbench evaluate run={table.parents[1]} data=.. makes it anew"
    return f"segbench evaluate run={table.parent} makes it anew"


def read_config(path: Path) -> dict[str, Any]:
    """The resolved configuration in a run directory.

    Raises:
        UserError: where it is not there or not whole.
    """
    try:
        text = (path / CONFIG).read_text(encoding="utf-8")
        config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        whole = text.endswith(_END) if text.startswith(_BEGIN) else text.endswith("\n")  # as earlier versions wrote it
        if not whole or not isinstance(config, dict):
            raise ValueError("it is no whole configuration")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path / CONFIG}: {_damage(error)}; delete {path} to make the run anew") from error
    return config


def read_split(path: Path) -> dict[str, Any]:
    """The content of `split.json` in a run directory: which case is in which part, and which images the run knows.

    Raises:
        UserError: where it is not there or not whole.
    """
    try:
        split = json.loads((path / SPLIT).read_text())
        if not isinstance(split, dict):
            raise ValueError("it is no split")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path / SPLIT}: {_damage(error)}, so that nobody knows what the run was trained on; delete {path} to make"
            " the run anew"
        ) from error
    return split


def _damage(error: Exception) -> str:
    """The reason why a file cannot be used, in a few words."""
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return f"is damaged ({as_line(error)[:120]})"


def _read_record(path: Path) -> dict[str, Any]:
    file = path / "run.json"
    try:
        record = json.loads(file.read_text())
        if not isinstance(record, dict):
            raise ValueError("it is no record of a run")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {_damage(error)}; delete {path} to make the run anew") from None
    return record


def _reason(error: BaseException) -> str:
    text = as_line(error)
    return text if isinstance(error, UserError | Stopped) else f"{type(error).__name__}: {text}"


def _needs_user(error: BaseException) -> bool:
    return isinstance(error, UserError) and not isinstance(error, MachineError)


def _remove(path: Path, how: Any) -> None:
    with suppress(OSError):  # not there, or not empty: then it stays
        how(path)
