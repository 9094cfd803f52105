"""The runs to upload to W&B and the runs that are there already, from the notes that `publish` leaves on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segbench.errors import UserError
from segbench.runs.curves import read_curves
from segbench.runs.directory import RunDirectory, now, read_cases, read_config, read_split
from segbench.system.atomic import write_atomically

NOTE = "wandb/published.json"
"""The file in which a run directory keeps its note, and a sweep's folder the note of its comparison."""

COMPARE_JOB = "compare"
"""The job type in W&B of comparisons."""
COMPARISON_NOTE = "wandb/comparison.json"
GROUP_LENGTH = 128
"""W&B refuses longer names of groups."""

CONTENT = ("metrics.csv", "cases.csv")
"""Files of a run that go to W&B: where they change, there is something to upload."""
COMPARISON = "comparison"
SUMMARY = "comparison.json"


@dataclass(frozen=True)
class Destination:
    """The place to upload runs to, as asked for; None: as each run's own configuration says."""

    project: str | None = None
    entity: str | None = None
    group: str | None = None


def digest(status: str, files: Iterable[Path]) -> str:
    """A hash that changes when there is something new to upload; files that are not there count as empty."""
    content = hashlib.sha256(status.encode())
    for path in files:
        content.update(b"\0")
        if path.exists():
            with path.open("rb") as file:
                content.update(hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()


def read_note(path: Path) -> dict[str, Any]:
    """The note at a path, empty where there is none or a crash has cut it short."""
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def is_published(note: Mapping[str, Any], content: str, wish: Destination) -> bool:
    """Return whether a note says that this content was uploaded to where it is wanted now."""
    server = (os.environ.get("WANDB_BASE_URL") or "").rstrip("/")
    return note.get("digest") == content and note.get("wish") == asdict(wish) and server in ("", note.get("server"))


def write_note(path: Path, content: str, wish: Destination, server: str, address: str, run: str) -> None:
    """Note that something was uploaded.

    Args:
        path: of the note.
        content: its digest.
        wish: where it was asked for.
        server: of W&B.
        address: of the run there.
        run: its id.
    """
    path.parent.mkdir(exist_ok=True)
    note = {"digest": content, "wish": asdict(wish), "server": server, "address": address, "run": run}
    write_atomically(path, json.dumps({**note, "uploaded": now()}, indent=1) + "\n")


@dataclass(frozen=True)
class Item:
    """A run or a comparison to upload.

    Attributes:
        path: a run directory, or the folder of a comparison.
        record: of a run, its run.json.
        config: of a run, its config.yaml; of a comparison, that of a run in it.
        note: where it is noted that it was uploaded.
        content: digest of what is to be uploaded.
        seen: whether an earlier state of it was uploaded.
    """

    path: Path
    record: Mapping[str, Any]
    config: Mapping[str, Any]
    note: Path
    content: str
    seen: bool


@dataclass
class Found:
    """The uploads found in a folder: to be done, done, or not possible.

    Attributes:
        runs: to upload.
        there: how many are uploaded already.
        left: what is not to be uploaded now, and why.
        wrong: what cannot be uploaded, and why.
        comparisons: to upload.
    """

    runs: list[Item] = field(default_factory=list)
    there: int = 0
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    comparisons: list[Item] = field(default_factory=list)


def find(paths: Sequence[Path], wish: Destination, again: bool = False) -> Found:
    """Find what is to be uploaded of run directories.

    Args:
        paths: the run directories.
        wish: where they are to be uploaded.
        again: whether what was uploaded is uploaded again.
    """
    found, ids = Found(), Counter[str]()
    for path in paths:
        try:
            record = RunDirectory(path).record
            if "wandb_id" not in record or "status" not in record:  # it failed before it began
                found.left.append(f"{path}: never began ({record.get('error') or 'nothing is recorded'})")
                continue
            ids[record["wandb_id"]] += 1
            if ids[record["wandb_id"]] > 1:
                raise UserError(f"is the same W&B run ({record['wandb_id']}) as another directory here, such as a copy")
            content = digest(record["status"], [path / name for name in CONTENT])
            note = read_note(path / NOTE)
            if is_published(note, content, wish) and not again:
                found.there += 1
                continue
            _check_whole(path, record)
            found.runs.append(Item(path, record, read_config(path), path / NOTE, content, bool(note) or again))
        except UserError as error:
            found.wrong.append(f"{path}: {str(error).removeprefix(f'{path}/')}")
    for folder in dict.fromkeys(path.parent for path in paths):
        _find_comparison(folder, wish, again, found)
    return found


def _check_whole(path: Path, record: Mapping[str, Any]) -> None:
    """Check that the files of a run are what they were when they were written.

    Raises:
        UserError: naming the first that is not.
    """
    read_curves(path)
    if record["status"] == "finished":
        read_split(path)
        read_cases(path / "cases.csv")


def _find_comparison(folder: Path, wish: Destination, again: bool, found: Found) -> None:
    comparison = folder / COMPARISON
    if not (comparison / SUMMARY).exists():
        return
    content = digest(COMPARISON, [comparison / SUMMARY])
    if is_published(read_note(folder / COMPARISON_NOTE), content, wish) and not again:
        found.there += 1
        return
    members = [path for path in folder.iterdir() if (path / "config.yaml").exists()]
    config = read_config(members[0]) if members else {}
    found.comparisons.append(Item(comparison, {}, config, folder / COMPARISON_NOTE, content, seen=True))
