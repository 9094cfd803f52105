"""The manifest of a comparison's folder: a hash of every file, and what each is, as an RO-Crate."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segbench import __version__
from segbench.compare.reading.methods import Loaded
from segbench.compare.reading.runs import CASES, Run
from segbench.runs.discovery import RECORD

CRATE = "ro-crate-metadata.json"
MANIFEST = "manifest.sha256"
PROFILE = "https://w3id.org/ro/crate/1.1"


def write_manifest(folder: Path) -> None:
    """Write the SHA-256 of every file, as `sha256sum -c manifest.sha256` checks them."""
    lines = [f"{digest(path)}  {path.relative_to(folder).as_posix()}" for path in _files(folder)]
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_crate(folder: Path, loaded: Loaded, title: str) -> None:
    """Write the metadata of the folder as an RO-Crate 1.1 (Soiland-Reyes et al. 2022), in JSON-LD.

    Args:
        folder: of the comparison, complete but for this and the manifest.
        loaded: what was compared.
        title: of the comparison.
    """
    runs = [run for method in loaded.methods for run in method.runs]
    files = [_file(folder, path) for path in _files(folder)]
    parts = [{"@id": file["@id"]} for file in files]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": "Scores, ranks, tests, figures and texts of a comparison of segmentation methods",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": {"@id": "#license"},
        "hasPart": parts,
        "mentions": [{"@id": f"#run-{run.id}"} for run in runs],
    }
    entities = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": PROFILE},
            "about": {"@id": "./"},
        },
        root,
        {"@id": "#license", "@type": "CreativeWork", "name": "to be chosen by the authors"},
        {"@id": "#segbench", "@type": "SoftwareApplication", "name": "segbench", "softwareVersion": __version__},
        *files,
        *map(_action, runs),
    ]
    crate = {"@context": f"{PROFILE}/context", "@graph": entities}
    (folder / CRATE).write_text(json.dumps(crate, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _file(folder: Path, path: Path) -> dict[str, Any]:
    kind, _ = mimetypes.guess_type(path.name)
    facts = {"@id": path.relative_to(folder).as_posix(), "@type": "File", "name": path.name}
    facts |= {"contentSize": str(path.stat().st_size), "sha256": digest(path)}
    return facts | ({"encodingFormat": kind} if kind else {})


def _action(run: Run) -> dict[str, Any]:
    """The training of a run, with the hashes of the files that its scores come from."""
    files = {name: digest(run.path / name) for name in (RECORD, "config.yaml", CASES) if (run.path / name).exists()}
    times = {"startTime": run.record.get("started"), "endTime": run.record.get("finished")}
    return {
        "@id": f"#run-{run.id}",
        "@type": "CreateAction",
        "name": run.name,
        "instrument": {"@id": "#segbench"},
        "description": f"trained on {run.dataset}, seed {run.record['seed']}, fold {run.record['fold']}",
        **{key: value for key, value in times.items() if value},
        "identifier": [f"{name} sha256:{value}" for name, value in files.items()],
    }
