"""The earlier runs that `stages` names, and the ids by which the id of a run depends on them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from segbench.errors import UserError
from segbench.runs.discovery import RECORD, find_runs

Takes = Literal["labels", "probabilities", "regions"]

TAKES: tuple[Takes, ...] = ("labels", "probabilities", "regions")
"""The parts of a stage that can be taken: its label map, the probabilities of its classes, or its regions' masks."""


@dataclass(frozen=True)
class NamedStage:
    """A stage as a configuration names it.

    Attributes:
        name: of the array that its predictions become.
        places: folders, run directories or globs.
        takes: what is taken of its predictions.
    """

    name: str
    places: tuple[str, ...]
    takes: Takes = "labels"

    @property
    def key(self) -> str:
        """The key of the configuration, for messages."""
        return f"stages.{self.name}"

    def runs(self) -> list[tuple[Path, dict[str, Any]]]:
        """The run directories, absolute, with their records, by seed and fold.

        Raises:
            UserError: where there is none, or a run is not finished.
        """
        found = [(path.absolute(), self._record(path)) for path in find_runs(self.places, key=self.key)]
        return sorted(found, key=lambda run: (run[1]["seed"], run[1]["fold"], run[1]["id"]))

    def id(self) -> str:
        """Twelve hex digits: the same for the same runs, wherever they are, of which the same is taken."""
        ids = sorted(record["id"] for _, record in self.runs())
        return hashlib.sha256(json.dumps([self.takes, ids]).encode()).hexdigest()[:12]

    def _record(self, path: Path) -> dict[str, Any]:
        try:
            record = dict(json.loads((path / RECORD).read_text()))
            status = record["status"]
        except (OSError, ValueError, TypeError, KeyError):
            raise UserError(f"{self.key}: {path} is half-written: it has no complete {RECORD}") from None
        if status != "finished":
            raise UserError(
                f"{self.key}: the run {path} is not finished (status {status}): start its command again, or name"
                f" finished runs alone, {self.key}=[RUN,RUN]"
            )
        return record


def named_stages(setting: DictConfig | Mapping[str, Any] | None) -> list[NamedStage]:
    """The stages that the value of `stages` names: NAME: PLACES, or NAME: {runs: PLACES, takes: probabilities}.

    Raises:
        UserError: where it has another form.
    """
    plain = OmegaConf.to_container(setting, resolve=True) if isinstance(setting, DictConfig) else setting
    if plain is None:
        return []
    if not isinstance(plain, Mapping):
        raise UserError(f"stages={plain}: must have names, such as stages={{coarse: {plain}}}")
    return [_named(str(name), value) for name, value in plain.items()]


def absolute(setting: DictConfig | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The value of `stages` with absolute places, the same runs wherever it is read; None where there is none.

    Raises:
        UserError: where it has another form.
    """
    return {
        stage.name: {"runs": [os.path.abspath(os.path.expanduser(place)) for place in stage.places]}
        | {"takes": stage.takes}
        for stage in named_stages(setting)
    } or None


def stage_ids(setting: DictConfig | Mapping[str, Any] | None) -> dict[str, str] | None:
    """The id of each stage that the value of `stages` names, None where there is none.

    Raises:
        UserError: where a stage has no runs, or one that is not finished.
    """
    return {stage.name: stage.id() for stage in named_stages(setting)} or None


def _named(name: str, value: Any) -> NamedStage:
    takes, places = "labels", value
    if isinstance(value, Mapping):
        if not {"runs"} <= value.keys() <= {"runs", "takes"}:
            raise UserError(f"stages.{name}: has the keys {', '.join(value)}; it needs runs, and may have takes")
        takes, places = value.get("takes", takes), value["runs"]
    if takes not in TAKES:
        raise UserError(f"stages.{name}.takes={takes}: must be one of {', '.join(TAKES)}")
    listed = [places] if isinstance(places, str) else places
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(place, str) for place in listed):
        raise UserError(f"stages.{name}={places}: must be a run directory, a folder, a glob, or a list of these")
    return NamedStage(name, tuple(listed), takes)
