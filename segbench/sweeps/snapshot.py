"""The code and configuration of a sweep as they were when it was submitted: queued jobs run these."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import segbench
from segbench.atomic import write_atomically
from segbench.errors import UserError
from segbench.paths import conf_folder
from segbench.provenance import STATE, git_diff, git_state
from segbench.sweeps.own_code import own_files

POLICIES = ("refuse", "keep", "renew")
PINNED = "pinned.json"
CHANGES = "changes.diff"
SKIPPED = {"__pycache__", ".DS_Store"}


def pin(folder: Path, policy: str = "refuse", modules: Iterable[str] = ()) -> Path:
    """The folder that the jobs of a sweep import segbench from, made where it is not there yet.

    It holds the package, `conf` (with `conf/local`), modules of the user's own, the commit, and `changes.diff`, what
    was changed since. Its name is a hash of the content, so that a rerun without changes finds it.

    Args:
        folder: of the snapshots of a sweep.
        policy: where the code differs from that of the sweep's jobs before: "refuse", "keep" (the jobs get the former
            code), or "renew" (they get the code as it is now). Modules that only some of the jobs need are no
            difference.
        modules: of the user's own that the jobs need.

    Raises:
        UserError: where the code differs and the policy is to refuse; names the files.
    """
    if policy not in POLICIES:
        raise UserError(f"hydra.launcher.code={policy}: must be one of {', '.join(POLICIES)}")
    files = {str(name): path for name, path in (*_files(), *own_files(modules))}
    former, sums_before = _former(folder)
    if former is not None:
        earlier = {name: former / name for name in sums_before}
        files |= {name: path for name, path in earlier.items() if name not in files and not _ours(name)}
        differ = _difference(sums_before, _sums(files))
        if differ and policy == "refuse":
            shown = ", ".join(differ[:4]) + (f" and {len(differ) - 4} more" if len(differ) > 4 else "")
            raise UserError(
                f"the code is not that of this sweep's jobs before ({shown}): say hydra.launcher.code=keep to go on "
                "with the former, hydra.launcher.code=renew to go on with the present, or choose another "
                "hydra.sweep.dir"
            )
        if differ and policy == "keep":
            files = {name: path for name, path in files.items() if not _ours(name)} | earlier
    else:
        differ = []
    sums = _sums(files)
    digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()[:12]
    place = folder / digest
    if not (place / STATE).exists():
        _copy(files, place)
        if former is not None and differ and policy == "keep":
            state, changes = (former / STATE).read_text(), _read(former / CHANGES)
        else:
            state, changes = json.dumps(git_state()) + "\n", git_diff()
        if changes:
            write_atomically(place / CHANGES, changes)
        write_atomically(place / STATE, state)  # the last: it says that the copy is whole
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


def _ours(name: str) -> bool:
    """Whether a file belongs to segbench, and not to modules of the user's own."""
    return Path(name).parts[0] in ("segbench", "conf", "hydra_plugins")


def _is_code(name: str) -> bool:
    """Whether a file is copied and compared; what lies beside the code of the user, of any size, is linked."""
    return _ours(name) or name.endswith(".py")


def _sums(files: Mapping[str, Path]) -> dict[str, str]:
    code = sorted((name, path) for name, path in files.items() if _is_code(name))
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in code}


def _copy(files: Mapping[str, Path], place: Path) -> None:
    for name, path in files.items():
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_code(name):
            shutil.copyfile(path, target)
        else:
            target.unlink(missing_ok=True)
            target.symlink_to(path)


def _former(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """Where the code of the sweep's jobs before is, and the hashes of its files."""
    try:
        pinned = json.loads((folder / PINNED).read_text())
        return folder / str(pinned["code"]), dict(pinned["files"])
    except (OSError, ValueError, KeyError):
        return None, {}


def _difference(former: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Files that have changed, and those of segbench that were added or removed."""
    names = {name for name in former.keys() | present.keys() if _ours(name)} | (former.keys() & present.keys())
    return sorted(name for name in names if former.get(name) != present.get(name))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
