"""The folder of the YAML files."""

from __future__ import annotations

from pathlib import Path

import segbench


def conf_folder() -> Path:
    """The folder of the configuration: beside the package in a checkout, inside it when installed."""
    package = Path(segbench.__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
