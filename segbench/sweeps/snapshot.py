"""The code and configuration of a sweep as they were when it was submitted: queued jobs run these."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import segbench
from segbench.atomic import write_atomically
from segbench.errors import UserError
from segbench.paths import conf_folder
from segbench.provenance import STATE, git_diff, git_state

POLICIES = ("refuse", "keep", "renew")
PINNED = "pinned.json"
SKIPPED = {"__pycache__", ".DS_Store"}


def pin(folder: Path, policy: str = "refuse") -> Path:
    """The folder that the jobs of a sweep import segbench from, made where it is not there yet.

    It holds the package, `conf` (with `conf/local`), the commit, and `changes.diff`, what was changed since. Its
    name is a hash of the content, so that a rerun without changes finds it.

    Args:
        folder: of the snapshots of a sweep.
        policy: where the code differs from that of the sweep's jobs before: "refuse", "keep" (the jobs get the former
            code), or "renew" (they get the code as it is now).

    Raises:
        UserError: where the code differs and the policy is to refuse; names the files.
    """
    if policy not in POLICIES:
        raise UserError(f"hydra.launcher.code={policy}: must be one of {', '.join(POLICIES)}")
    files = {str(name): path for name, path in _files()}
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}
    digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()[:12]
    before = _pinned(folder)
    if before is not None and before.name != digest:
        if policy == "keep":
            return before
        if policy == "refuse":
            differ = _difference(before, sums)
            shown = ", ".join(differ[:4]) + (f" and {len(differ) - 4} more" if len(differ) > 4 else "")
            raise UserError(
                f"the code is not that of this sweep's jobs before ({shown}): say hydra.launcher.code=keep to go on "
                "with the former, hydra.launcher.code=renew to go on with the present, or choose another "
                "hydra.sweep.dir"
            )
    place = folder / digest
    if not (place / STATE).exists():
        _copy(files, place)
        changes = git_diff()
        if changes:
            write_atomically(place / "changes.diff", changes)
        write_atomically(place / STATE, json.dumps(git_state()) + "\n")  # the last: it says that the copy is whole
    write_atomically(folder / PINNED, json.dumps({"code": digest, "files": sums}, indent=0) + "\n")
    return place


def _files() -> Iterator[tuple[Path, Path]]:
    """Names in the snapshot, and where the files are."""
    import hydra_plugins.segbench as plugin

    package = Path(segbench.__file__).parent
    for root, target in ((package, Path("segbench")), (conf_folder(), Path("conf"))):
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not SKIPPED & set(inside.parts) and (root != package or inside.parts[0] != "conf"):
                yield target / inside, path
    yield Path("hydra_plugins", "segbench.py"), Path(plugin.__file__)


def _copy(files: dict[str, Path], place: Path) -> None:
    for name, path in files.items():
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _pinned(folder: Path) -> Path | None:
    try:
        return folder / str(json.loads((folder / PINNED).read_text())["code"])
    except (OSError, ValueError, KeyError):
        return None


def _difference(before: Path, sums: dict[str, str]) -> list[str]:
    former: dict[str, str] = json.loads((before.parent / PINNED).read_text())["files"]
    return sorted(name for name in former.keys() | sums.keys() if former.get(name) != sums.get(name))
