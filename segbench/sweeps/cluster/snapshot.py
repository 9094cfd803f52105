"""The code and configuration of a sweep as they were when it was submitted: queued jobs run these."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import segbench
from segbench.config.paths import conf_folder
from segbench.config.user_modules import OURS, PINNED, module_files
from segbench.errors import UserError
from segbench.runs.provenance import STATE, git_diff, git_state
from segbench.system.atomic import replaced, write_atomically

POLICIES = ("refuse", "keep", "renew")
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
    present, former = Code.present(modules), Code.former(folder)
    code = present
    if former is not None:
        code = present.with_modules_of(former)
        differ = code.difference(former)
        if differ and policy == "refuse":
            shown = ", ".join(differ[:4]) + (f" and {len(differ) - 4} more" if len(differ) > 4 else "")
            raise UserError(
                f"the code is not that of this sweep's jobs before ({shown}): say hydra.launcher.code=keep to go on "
                "with the former, hydra.launcher.code=renew to go on with the present, or choose another "
                "hydra.sweep.dir"
            )
        if differ and policy == "keep":
            code = former.with_modules_of(present)
    digest = hashlib.sha256(json.dumps([code.sums, sorted(code.files)]).encode()).hexdigest()[:12]
    place = folder / digest
    if not (place / STATE).exists():
        code.write(place)
    write_atomically(folder / PINNED, json.dumps({"code": digest, "files": code.sums}, indent=0) + "\n")
    return place


@dataclass(frozen=True)
class Code:
    """The code that jobs import.

    Attributes:
        files: where they are, by their names in the snapshot.
        sums: hashes of the files that are code.
        state: the commit, as JSON.
        changes: since the commit.
    """

    files: Mapping[str, Path]
    sums: Mapping[str, str]
    state: str
    changes: str

    @classmethod
    def present(cls, modules: Iterable[str]) -> Code:
        """The code as it is now, with these modules of the user's own."""
        files = {str(name): path for name, path in (*_files(), *module_files(modules))}
        code = sorted((name, path) for name, path in files.items() if _is_code(name))
        sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in code}
        return cls(files, sums, json.dumps(git_state()) + "\n", git_diff())

    @classmethod
    def former(cls, folder: Path) -> Code | None:
        """The code of the sweep's jobs before."""
        try:
            pinned = json.loads((folder / PINNED).read_text())
            place, sums = folder / str(pinned["code"]), dict(pinned["files"])
        except (OSError, ValueError, KeyError):
            return None
        inside = {path: path.relative_to(place) for path in place.rglob("*") if path.is_symlink() or not path.is_dir()}
        told = {Path(STATE), Path(CHANGES)}
        files = {str(name): path for path, name in inside.items() if name not in told and not SKIPPED & set(name.parts)}
        return cls(files, sums, _read(place / STATE), _read(place / CHANGES))

    def with_modules_of(self, other: Code) -> Code:
        """This code, and the user's modules that only the other one has."""
        mine = {_module(name) for name in self.files}
        more = {name: path for name, path in other.files.items() if _module(name) not in mine and not _ours(name)}
        sums = {**self.sums, **{name: other.sums[name] for name in more if name in other.sums}}
        return replace(self, files={**self.files, **more}, sums=dict(sorted(sums.items())))

    def difference(self, former: Code) -> list[str]:
        """Files that have changed, and files of segbench that were added or removed."""
        names = former.sums.keys() | {name for name in self.sums if _ours(name)}
        return sorted(name for name in names if self.sums.get(name) != former.sums.get(name))

    def write(self, place: Path) -> None:
        """Copy the code; what lies beside the user's, of any size, is linked."""
        with replaced(place, mark=STATE, alone=True) as temporary:
            for name, path in self.files.items():
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if name in self.sums:
                    shutil.copy(path, target)  # with its mode: a file in conf/local may hold a key
                else:
                    target.symlink_to(path.readlink() if path.is_symlink() else path)
            if self.changes:
                write_atomically(temporary / CHANGES, self.changes)
            write_atomically(temporary / STATE, self.state)  # the last: it says that the copy is whole


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
    """Return whether a file belongs to segbench, and not to modules of the user's own."""
    return Path(name).parts[0] in OURS


def _module(name: str) -> str:
    """The first part of the name by which a file is imported."""
    return Path(name).parts[0].removesuffix(".py")


def _is_code(name: str) -> bool:
    """Return whether a file is copied and compared."""
    return _ours(name) or name.endswith(".py")


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
