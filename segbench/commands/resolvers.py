"""The functions that configurations call: `${run_id:}` and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.config.file_content import file_content
from segbench.config.identity import ROOTS, check_name, data_mark, default_name, run_id, run_name
from segbench.config.study import budget_value
from segbench.runs.stage_ids import stage_ids


def register_resolvers() -> None:
    """Make `${run_id:}`, `${run_name:}`, `${stage_ids:}` and others known to OmegaConf."""
    OmegaConf.register_new_resolver("run_id", _run_id, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("data_mark", _data_mark, replace=True)
    OmegaConf.register_new_resolver("stage_ids", _stage_ids, replace=True)
    OmegaConf.register_new_resolver("folder_name", _folder_name, replace=True)
    OmegaConf.register_new_resolver("file_content", file_content, replace=True)
    OmegaConf.register_new_resolver("budget", budget_value, replace=True)
    OmegaConf.register_new_resolver("one_more", _one_more, replace=True)


def _run_id(*, _root_: DictConfig) -> str:
    return run_id(_root_)


def _run_name(*first: str, _root_: DictConfig) -> str:
    if _root_.get("name"):
        return check_name(str(_root_.name), "name")
    return run_name(_root_.hydra.overrides.task, default_name(_root_.hydra.runtime.choices), first)


def _data_mark(*, _root_: DictConfig) -> str:
    set_by_user = {override.lstrip("+").partition("=")[0] for override in _root_.hydra.overrides.task}
    return data_mark(str(OmegaConf.select(_root_, key)) for key in ROOTS if key in set_by_user)


def _stage_ids(*, _root_: DictConfig) -> dict[str, str] | None:
    return stage_ids(_root_.get("stages"))


def _one_more(count: int | None) -> int | None:
    """The number of channels that have a class besides those of the data set; None while these are not known."""
    return None if count is None else count + 1


def _folder_name(path: Any) -> str:
    return Path(str(path)).expanduser().resolve().name
