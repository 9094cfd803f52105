"""A study: an experiment file with a budget, and with what its comparison needs to know."""

from __future__ import annotations

from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.config.paths import conf_folder
from segbench.errors import UserError

OWN_KEYS = ("hydra", "defaults", "runs", "scores", "output")
"""Keys of conf/compare.yaml that a study does not set: they follow from where its runs are."""


def budget_value(key: str, *, _root_: DictConfig) -> Any:
    """The value of `${budget:key}`: that of the chosen budget of the study.

    Raises:
        UserError: if the study has no such budget, or the budget no such value.
    """
    name, budgets = _root_.get("budget"), _budgets(_root_)
    if name not in budgets:
        raise UserError(f"budget={name}: must be one of {', '.join(map(str, budgets))}")
    if key not in budgets[name]:
        raise UserError(f"study.budgets.{name}.{key} is not set, but the study refers to it")
    return budgets[name][key]


def check_study(config: DictConfig) -> None:
    """Check what a study alone has: its budget, and the keys of its comparison.

    Raises:
        UserError: naming the key that is wrong and what would be right.
    """
    if config.budget is not None and not _budgets(config):
        raise UserError(f"budget={config.budget}: only studies have budgets; say experiment=NAME, or leave it out")
    comparison_settings(config)


def comparison_settings(config: DictConfig) -> DictConfig:
    """The values of conf/compare.yaml with those of `study.comparison`.

    Raises:
        UserError: if the study sets a key that the comparison does not have.
    """
    settings = _defaults()
    own = config.study.get("comparison") or {}
    for key in own:
        if key not in settings:
            raise UserError(f"study.comparison.{key}: must be one of {', '.join(map(str, settings))}")
    merged = OmegaConf.merge(settings, own)
    assert isinstance(merged, DictConfig)
    return merged


@cache
def _defaults() -> DictConfig:
    settings = OmegaConf.load(conf_folder() / "compare.yaml")
    assert isinstance(settings, DictConfig)
    for key in OWN_KEYS:
        settings.pop(key, None)
    return settings


def _budgets(config: DictConfig) -> Any:
    return (config.get("study") or {}).get("budgets") or {}
