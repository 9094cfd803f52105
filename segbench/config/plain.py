"""A configuration as plain values and as YAML, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
    """OmegaConf's YAML dumper, in C where PyYAML was built with it."""


_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)


def as_yaml(config: DictConfig) -> str:
    """The configuration, resolved, as OmegaConf writes it, in a fraction of the time."""
    return str(yaml.dump(as_plain(config), Dumper=_Dumper, allow_unicode=True, sort_keys=False))


def as_plain(config: DictConfig) -> Mapping[str, Any]:
    """The configuration, resolved, as plain dicts and lists."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
