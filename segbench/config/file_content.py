"""The content of a file as a part of the configuration, so that a run is identified by what the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from segbench.errors import UserError


def file_content(key: str, *, _root_: DictConfig) -> DictConfig:
    """The value of `${file_content:key}`: the content of the YAML or JSON file whose path is the value of a key.

    Raises:
        UserError: if no file is given, it cannot be read, or has no keys and values.
    """
    path = OmegaConf.select(_root_, key)
    if path is None:
        raise UserError(f"{key} is not set: give the path of a YAML or JSON file, such as {key}=my_file.json")
    try:
        content: Any = yaml.safe_load(Path(path).expanduser().read_text())  # JSON is YAML, too
    except OSError as error:
        raise UserError(f"{key}={path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{key}={path} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{key}={path} has no keys and values")
    return OmegaConf.create(content)
