"""Composing the hundreds of configurations of one sweep: as Hydra does it, but each file is read once."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.errors import UserError


class NotComposedError(HydraException):
    """The configuration of one run of a sweep cannot be composed.

    Attributes:
        overrides: of the run.
    """

    def __init__(self, message: str, overrides: Sequence[str]) -> None:
        super().__init__(message)
        self.overrides = tuple(overrides)


def pinned(context: HydraContext) -> HydraContext:
    """The context with a loader for many configurations of the same files.

    Make it anew for every sweep: what its loader has read it does not read again, so that all runs of a sweep are
    composed of the same files, whatever is edited meanwhile.
    """
    return HydraContext(PinnedLoader(context.config_loader.get_search_path()), context.callbacks)


@contextmanager
def referred_to(config: DictConfig) -> Iterator[None]:
    """Make `${hydra:...}` refer to this configuration, as it does while its run is executed."""
    known: Any = HydraConfig.instance()
    before, known.cfg = known.cfg, config
    try:
        yield
    finally:
        known.cfg = before


class SweepLoader(ConfigLoaderImpl):
    """Hydra's loader, for sweeps over options that do not have the same keys.

    Before Hydra asks for the runs of a sweep it composes a configuration without what is swept, with the default
    model where `model=fcn8s,segnet` is swept, and refuses what that one does not have: `model.weights=imagenet`.
    Here it is left to the runs, each of which is composed before the first one starts.
    """

    def _load_configuration_impl(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *flags: Any, **named_flags: Any
    ) -> DictConfig:
        compose = super()._load_configuration_impl
        parsed, repository = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        _check_options(parsed, repository)
        try:
            return compose(config_name, overrides, run_mode, *flags, **named_flags)
        except ConfigCompositionException:
            if run_mode != RunMode.MULTIRUN:
                raise
            values = [
                override for override in parsed if not override.is_sweep_override() and _is_value(override, repository)
            ]
            others = [str(override.input_line) for override in parsed if override not in values]
            config = compose(config_name, others, run_mode, *flags, **named_flags)
            swept = {override.key_or_group for override in parsed if override.is_sweep_override()}
            swept |= set(OmegaConf.select(config, "hydra.sweeper.params") or {})
            if not any(repository.group_exists(key) for key in swept):
                raise
        for value in values:
            with suppress(ConfigCompositionException):
                self._apply_overrides_to_config([value], config)
        _name_overrides(config, parsed)
        return config


class PinnedLoader(ConfigLoaderImpl):
    """Hydra's loader, its configurations and its errors, for a fraction of the time from the second one on.

    Runs of a sweep share most of what they choose. What Hydra composes of options (`model=unet`) is kept and copied
    for each run; only the values (`seed=3`) are then set, by Hydra's own function.
    """

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self.repository = _PinnedRepository(search_path)
        self._composed = _Kept()
        self._parsed: dict[str, Override] = {}
        self._found: dict[Hashable, IConfigRepository] = {}

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        if run_mode != RunMode.RUN or not validate_sweep_overrides:
            return super()._load_configuration_impl(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
        parsed = self._parse(overrides)
        self.validate_sweep_overrides_legal(parsed, run_mode, from_shell)
        repository = self._repository(
            config_name, [str(override.input_line) for override in parsed if override.is_hydra_override()]
        )
        _check_options(parsed, repository)
        values = [override for override in parsed if _is_value(override, repository)]
        options = [str(override.input_line) for override in parsed if not _is_value(override, repository)]
        config: DictConfig = self._composed.get(
            (config_name, *options),
            lambda: super(PinnedLoader, self)._load_configuration_impl(config_name, options, run_mode, from_shell),
        )
        self._apply_overrides_to_config(values, config)
        _name_overrides(config, parsed)
        return config

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        assert isinstance(repo, CachingConfigRepository)
        assert isinstance(repo.delegate, _PinnedRepository)
        load = super()._load_single_config
        key = ("single", default.config_path, default.package, default.primary)
        result: ConfigResult = repo.delegate.kept.get(key, lambda: load(default, repo))
        return result

    def _parse(self, overrides: Sequence[str]) -> list[Override]:
        new = [override for override in overrides if override not in self._parsed]
        self._parsed |= zip(new, OverridesParser.create().parse_overrides(new), strict=True)
        return [self._parsed[override] for override in overrides]

    def _repository(self, config_name: str | None, of_hydra: list[str]) -> IConfigRepository:
        """The repository of files in which Hydra looks, as `hydra.searchpath` decides."""
        key = (config_name, *of_hydra)
        if key not in self._found:
            self._found[key] = self._parse_overrides_and_create_caching_repo(config_name, of_hydra)[1]
        return self._found[key]


class _Kept:
    """Values that are made once and then copied. Pickle copies a configuration eight times as fast as `deepcopy`."""

    def __init__(self) -> None:
        self._values: dict[Hashable, bytes] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, always a new copy."""
        if key not in self._values:
            self._values[key] = pickle.dumps(make(), pickle.HIGHEST_PROTOCOL)
        return pickle.loads(self._values[key])


class _PinnedRepository(ConfigRepository):
    """Hydra's repository of files, which reads each file once and looks once whether there is one."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        self._of_sources: dict[str, tuple[_Kept, dict[Hashable, ConfigSource | None]]] = {}
        super().__init__(search_path)

    def __deepcopy__(self, memo: dict[int, Any]) -> _PinnedRepository:
        """Return a copy that shares what was read: Hydra copies the repository for each composition."""
        return copy.copy(self)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        super().initialize_sources(config_search_path)
        self.kept, self._places = self._of_sources.setdefault(str(self.sources), (_Kept(), {}))

    def load_config(self, config_path: str) -> ConfigResult | None:
        load = super().load_config
        result: ConfigResult | None = self.kept.get(("file", config_path), lambda: load(config_path))
        return result

    def _find_object_source(self, config_path: str, object_type: ObjectType | None) -> ConfigSource | None:
        key = (config_path, object_type)
        if key not in self._places:
            self._places[key] = super()._find_object_source(config_path, object_type)
        return self._places[key]


def _name_overrides(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Record overrides in `config`, as Hydra records the overrides that it applies."""
    of_task = [override for override in overrides if not override.is_hydra_override()]
    config.hydra.overrides.task = [override.input_line for override in of_task]
    config.hydra.job.override_dirname = get_overrides_dirname(of_task, **config.hydra.job.config.override_dirname)


def _check_options(overrides: Sequence[Override], repository: IConfigRepository) -> None:
    """Check that options are chosen by name, which Hydra takes for granted.

    Raises:
        UserError: naming the override.
    """
    for override in overrides:
        value = None if override.is_delete() or override.is_sweep_override() else override.value()
        names = value if isinstance(value, list) else [value]
        numbers = [name for name in names if isinstance(name, int | float | list)]
        if numbers and repository.group_exists(override.key_or_group):
            options = ", ".join(repository.get_group_options(override.key_or_group))
            raise UserError(f"{override.input_line}: must be the name of an option; known are {options}")


def _is_value(override: Override, repository: IConfigRepository) -> bool:
    """Return whether an override sets a value, instead of choosing an option or setting something of Hydra's."""
    if override.is_hydra_override():
        return False
    return isinstance(override.value(), dict) or not repository.group_exists(override.key_or_group)
