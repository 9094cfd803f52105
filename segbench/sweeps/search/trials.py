"""The trials of a search: Optuna's study in its file, and how the values of a trial are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, FloatDistribution, check_distribution_compatibility
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from segbench.config.instantiation import build
from segbench.errors import UserError
from segbench.runs.criterion import Criterion
from segbench.sweeps.search.journal import STUDY, open_journal
from segbench.sweeps.search.space import Space, rounded

PRUNER = "pruner"
"""The study's attribute that holds the configuration of its pruner, for the runs."""

DEFAULT = Criterion()

DIRECTIONS = {"larger": StudyDirection.MAXIMIZE, "smaller": StudyDirection.MINIMIZE}

REPEATS = "repeats"
"""A trial's attribute: the number of the failed one whose values it has."""


class Trials:
    """The trials of a search, kept in a file.

    The values of trial k are a function of the sampler's seed, k, and the trials known when it is drawn, so that a
    search that was interrupted asks for what it would have asked for.

    Args:
        journal: the file; made where it is not there.
        space: what is varied.
        sampler: node of the configuration.
        pruner: node of the configuration, None for a search that prunes nothing.
        criterion: the validation score that is sought.

    Raises:
        UserError: where a node is wrong, or the file is damaged or of a search over something else.
    """

    def __init__(
        self,
        journal: Path,
        space: Space,
        sampler: DictConfig,
        pruner: DictConfig | None,
        criterion: Criterion = DEFAULT,
    ) -> None:
        self.space = space
        self.criterion = criterion
        self.sampler = sampler
        parts: dict[str, Any] = {"sampler": self._sampler(0), "pruner": build_pruner(pruner)}
        direction = DIRECTIONS[criterion.direction]
        self.storage = open_journal(journal)
        try:
            self.study = optuna.load_study(study_name=STUDY, storage=self.storage, **parts)
        except KeyError:
            self.study = optuna.create_study(
                study_name=STUDY,
                storage=self.storage,
                direction=direction,
                load_if_exists=True,
                **parts,
            )
        if self.study.direction != direction:
            raise _other_search(journal, f"it was to {self.study.direction.name.lower()} its score")
        self._check_space(journal)
        plain = None if pruner is None else OmegaConf.to_container(pruner, resolve=True)
        if self.study.user_attrs.get(PRUNER, "none yet") != plain:
            self.study.set_user_attr(PRUNER, plain)

    def all(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        return self.study.get_trials(deepcopy=False)

    def standing(self) -> list[FrozenTrial]:
        """Every trial but the failed ones that another one repeats."""
        repeated = {trial.user_attrs.get(REPEATS) for trial in self.all()}
        return [trial for trial in self.all() if trial.number not in repeated]

    def begun(self) -> list[int]:
        """Numbers of the trials that were begun and not ended."""
        return [trial.number for trial in self.all() if trial.state == TrialState.RUNNING]

    def repeat_failed(self) -> None:
        """Ask for the values of trials that failed again; they are begun before any others."""
        for trial in self.standing():
            if trial.state == TrialState.FAIL:
                self.study.enqueue_trial(trial.params, user_attrs={REPEATS: trial.number})

    def begin(self, most: int) -> int | None:
        """Begin a trial.

        Args:
            most: how many there should be; repeated trials do not count.

        Returns:
            Its number; None where there are enough.
        """
        waiting = any(trial.state == TrialState.WAITING for trial in self.all())
        if not waiting and len(self.standing()) >= most:
            return None
        self.study.sampler = self._sampler(len(self.all()))
        return self.study.ask().number

    def values(self, number: int) -> dict[str, Any]:
        """The value of each varied key; drawn at the first call, the same ones ever after."""
        self.study.sampler = self._sampler(number)
        trial = open_trial(self.study, self.storage, number)
        return {key: trial._suggest(key, distribution) for key, distribution in self.space.varied.items()}

    def facts(self, number: int) -> dict[str, Any]:
        """The notes on a trial."""
        return self.all()[number].user_attrs

    def note(self, number: int, **facts: Any) -> None:
        """Record facts of a trial."""
        known = self.facts(number)
        trial = open_trial(self.study, self.storage, number)
        for key, value in facts.items():
            if known.get(key, "none yet") != value:
                trial.set_user_attr(key, value)

    def end(self, number: int, state: TrialState, value: float | None = None) -> None:
        """Report to the sampler how a trial ended."""
        self.study.tell(number, values=value, state=state)

    def _sampler(self, number: int) -> BaseSampler:
        key = "hydra.sweeper.sampler"
        seed = OmegaConf.select(self.sampler, "seed")
        if seed is None:
            return _Rounded(build(self.sampler, key))
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f"{key}.seed={seed}: must be a whole number, or null")
        drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        return _Rounded(build(self.sampler, key, seed=drawn))

    def _check_space(self, journal: Path) -> None:
        varied = self.space.varied
        for trial in self.all():
            if trial.distributions.keys() - varied.keys():
                before = ", ".join(trial.distributions)
                raise _other_search(journal, f"it varies {before}, this one {', '.join(varied)}")
            for key, distribution in trial.distributions.items():
                try:
                    check_distribution_compatibility(distribution, varied[key])
                except ValueError as error:
                    raise _other_search(journal, f"{key}: {error}") from None


class _Rounded(BaseSampler):
    """A sampler that draws as another sampler does, to few digits."""

    def __init__(self, sampler: BaseSampler) -> None:
        self.sampler = sampler

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn = self.sampler.sample_relative(study, trial, search_space)
        return {key: _round(value, search_space[key]) for key, value in drawn.items()}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        drawn = self.sampler.sample_independent(study, trial, param_name, param_distribution)
        return _round(drawn, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self.sampler.after_trial(study, trial, state, values)


def open_trial(study: Study, storage: BaseStorage, number: int) -> Trial:
    """A trial of a study, whichever process began it.

    Raises:
        KeyError: where the study has no such trial.
    """
    of_study = storage.get_study_id_from_name(study.study_name)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(of_study, number))


def build_pruner(node: DictConfig | Mapping[str, Any] | None) -> optuna.pruners.BasePruner:
    """The pruner of a search.

    Raises:
        UserError: where its class refuses its values.
    """
    pruner = optuna.pruners.NopPruner() if node is None else build(node, "hydra.sweeper.pruner")
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise UserError(f"hydra.sweeper.pruner: {type(pruner).__name__} is no pruner of Optuna")
    return pruner


def _round(value: Any, distribution: BaseDistribution) -> Any:
    return rounded(value, distribution) if isinstance(distribution, FloatDistribution) else value


def _other_search(journal: Path, difference: str) -> UserError:
    return UserError(f"{journal.parent} holds another search ({difference}): choose another hydra.sweep.dir")
