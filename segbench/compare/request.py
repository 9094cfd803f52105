"""The request for a comparison: conf/compare.yaml as a typed value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from omegaconf import DictConfig, OmegaConf

from segbench.compare.reading.methods import Rules
from segbench.compare.reading.places import MASKS, of_kinds, parse_place
from segbench.compare.statistics.ranking import CUTS
from segbench.config.identity import shortened
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.runs.criterion import DIRECTIONS
from segbench.runs.uploads import COMPARISON

Uncertainty = Literal["interval", "sd", "none"]
"""The uncertainty that is printed with a score."""


@dataclass(frozen=True)
class Publication:
    """The place in W&B of a comparison; None is what the runs themselves say."""

    project: str | None = None
    entity: str | None = None
    group: str | None = None
    mode: str | None = None
    workspace: bool | Literal["project"] = False
    report: bool = False


@dataclass(frozen=True)
class Form:
    """The form of the tables: `uncertainty` and `transpose` of conf/compare.yaml."""

    uncertainty: Uncertainty = "interval"
    transpose: bool | None = None


@dataclass(frozen=True)
class Masks:
    """The meaning of masks of other tools: `reference` to `trust` of conf/compare.yaml."""

    reference: str | None = None
    classes: tuple[str, ...] | None = None
    values: tuple[Any, ...] | None = None
    background: int | None = 0
    spacing: tuple[float, ...] | None = None
    trust: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """The keys of conf/compare.yaml, which says what they mean. `asked`: those that decide the result, as set."""

    runs: tuple[str, ...] = ()
    scores: Path | None = None
    output: Path = Path(COMPARISON)
    metric: tuple[str, ...] = ()
    ranking: str = "mean"
    ties: str = "min"
    cuts: tuple[float, ...] = CUTS
    baseline: str | None = None
    relevant: float | None = None
    costs: Path | None = None
    weights: tuple[tuple[str, float], ...] = ()
    subgroups: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)
    masks: Masks = Masks()
    bootstraps: int = 10_000
    confidence: float = 0.95
    seed: int = 0
    form: Form = Form()
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    publish: str | None = None
    wandb: Publication = field(default_factory=Publication)

    @classmethod
    def parse(cls, config: DictConfig) -> Request:
        """The request that a configuration states.

        Raises:
            UserError: naming the key that is wrong.
        """
        plain = _plain(config)
        if (plain["runs"] is None) == (plain["scores"] is None):
            raise UserError("say what to compare: either runs=DIR or scores=FILE")
        if plain["reference"] is not None and not of_kinds(_texts(plain["runs"]), *MASKS, "nnunet"):
            raise UserError("reference: is for masks; name them, such as 'runs=[masks:a,masks:b]'")
        return replace(
            cls.of_settings(config),
            runs=_texts(plain["runs"]),
            scores=Path(plain["scores"]) if plain["scores"] is not None else None,
            output=Path(str(plain["output"])) if plain["output"] is not None else _output(_texts(plain["runs"])),
        )

    @property
    def places(self) -> tuple[str, ...]:
        """Short names of what is compared: of the folders, or of the table."""
        return (self.scores.stem,) if self.scores is not None else _names(self.runs)

    @classmethod
    def of_settings(cls, config: DictConfig) -> Request:
        """The request of a configuration that does not say what is compared and where the result goes.

        Raises:
            UserError: naming the key that is wrong.
        """
        plain = _plain(config)
        if plain["publish"] not in (None, "wandb", "tensorboard"):
            raise UserError(f"publish={plain['publish']}: only wandb and tensorboard are known")
        return cls(
            metric=_texts(plain["metric"]),
            ranking=str(plain["ranking"]),
            ties=str(plain["ties"]),
            cuts=tuple(_number("cuts", cut) for cut in plain["cuts"]),
            baseline=None if plain["baseline"] is None else str(plain["baseline"]),
            weights=tuple((str(name), float(weight)) for name, weight in (plain["weights"] or {}).items()),
            costs=None if plain["costs"] is None else Path(str(plain["costs"])),
            relevant=None if plain["relevant"] is None else _number("relevant", plain["relevant"]),
            subgroups=_texts(plain["subgroups"]),
            rules=_rules(plain),
            masks=_masks(plain),
            bootstraps=int(_number("bootstraps", plain["bootstraps"])),
            confidence=_number("confidence", plain["confidence"]),
            seed=int(_number("seed", plain["seed"])),
            form=_form(plain),
            asked=_asked(plain),
            publish=plain["publish"],
            wandb=Publication(**plain["wandb"]),
        )


STANDARD = Request()


def _plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, but for the metrics of masks, which are built where there are some."""
    keys = [str(key) for key in config if key != "metrics"]
    return OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)  # type: ignore[return-value]


def _asked(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not as conf/compare.yaml has them, and decide the result."""
    standard: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(conf_folder() / "compare.yaml"))  # type: ignore[assignment]
    elsewhere = ("runs", "scores", "metrics", "output", "publish", "wandb", "hydra", "defaults")
    return {key: value for key, value in plain.items() if key not in elsewhere and value != standard.get(key)}


def _masks(plain: Mapping[str, Any]) -> Masks:
    def listed(key: str) -> tuple[Any, ...] | None:
        return None if plain[key] is None else tuple(plain[key])

    reference = None if plain["reference"] is None else str(plain["reference"])
    trust = listed("trust") or ()
    return Masks(reference, listed("classes"), listed("values"), plain["background"], listed("spacing"), trust)


def _form(plain: Mapping[str, Any]) -> Form:
    if plain["uncertainty"] not in get_args(Uncertainty):
        raise UserError(f"uncertainty={plain['uncertainty']}: must be {', '.join(get_args(Uncertainty))}")
    if plain["transpose"] not in (None, True, False):
        raise UserError(f"transpose={plain['transpose']}: must be true, false or null")
    return Form(plain["uncertainty"], plain["transpose"])


def _output(runs: Sequence[str]) -> Path:
    """The folder where none is asked for: that of several sweeps has their names."""
    names = _names(runs)
    return Path(f"{COMPARISON}-{shortened('+'.join(names))}" if len(names) > 1 else COMPARISON)


def _names(places: Sequence[str]) -> tuple[str, ...]:
    """The ends of paths, as long as it takes to tell them apart."""
    paths = list(dict.fromkeys(Path(parse_place(place).path).expanduser().absolute() for place in places))
    for length in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = tuple("/".join(path.parts[-length:]) for path in paths)
        if len(set(names)) == len(paths):
            return names
    return ()


def _rules(plain: Mapping[str, Any]) -> Rules:
    missing = plain["missing"]
    if missing not in (None, "worst", "drop") and (isinstance(missing, bool) or not isinstance(missing, int | float)):
        raise UserError(f"missing={missing}: must be worst, drop or a number")
    if plain["absent"] not in ("ignore", "perfect"):
        raise UserError(f"absent={plain['absent']}: must be ignore or perfect")
    if not isinstance(plain["strict"], bool):
        raise UserError(f"strict={plain['strict']}: must be true or false")
    rename = {str(old): str(new) for old, new in (plain["methods"]["rename"] or {}).items()}
    return Rules(
        strict=plain["strict"],
        missing=missing,
        absent=plain["absent"],
        better=_better(plain["better"] or {}),
        rename=rename,
        select=_texts(plain["select"]),
        annotators=bool(plain["annotators"]),
        may_differ=_texts(plain["may_differ"]),
    )


def _better(given: Any) -> str | dict[str, str]:
    """One direction for all metrics, or that of each."""
    if isinstance(given, dict):
        for metric, way in given.items():
            if way not in DIRECTIONS:
                raise UserError(f"better={{{metric}: {way}}}: must be larger or smaller")
        return {str(metric): str(way) for metric, way in given.items()}
    if given not in DIRECTIONS:
        raise UserError(f"better={given}: must be larger, smaller, or {{name: larger or smaller}}")
    return str(given)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key}={value}: must be a number")
    return float(value)
