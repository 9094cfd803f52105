"""Run directories made by code, as training leaves them, without any training."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

COLUMNS = ("dataset", "split", "fold", "seed", "case", "group", "class", "metric", "value", "n_ref", "n_pred")
METRICS = {"dice": "larger", "hd95": "smaller"}
CLASSES = ("nucleus", "cytoplasm")


def stable_seed(*parts: object) -> int:
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16)


def case_names(dataset: str, count: int) -> list[str]:
    return [f"{dataset}_{k:02d}" for k in range(count)]


def score_rows(
    quality: float,
    *,
    dataset: str = "wbc",
    split: str = "test",
    cases: Sequence[str] | None = None,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
    fold: int = 0,
    key: object = "",
    groups: Mapping[str, str] | None = None,
) -> list[list[Any]]:
    """Rows of cases.csv: every case has its own difficulty, on which a method's quality is added."""
    rows = []
    for case in cases if cases is not None else case_names(dataset, 12):
        for label in classes:
            hardness = np.random.default_rng(stable_seed(dataset, case, label)).normal(0, 0.05)
            noise = np.random.default_rng(stable_seed(key, seed, case, label)).normal(0, 0.01)
            dice = float(np.clip(quality + hardness + noise, 0, 1))
            group = (groups or {}).get(case, case)
            for metric, value in (("dice", dice), ("hd95", 40 * (1 - dice))):
                rows.append([dataset, split, fold, seed, case, group, label, metric, repr(value), 100, 90])
    return rows


def write_table(path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[str] = COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def make_run(
    folder: Path,
    *,
    choices: Mapping[str, str],
    quality: float,
    dataset: str = "wbc",
    seed: int = 0,
    fold: int = 0,
    settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    cases: Sequence[str] | None = None,
    classes: Sequence[str] = CLASSES,
    groups: Mapping[str, str] | None = None,
    record: Mapping[str, Any] | None = None,
    rows: Sequence[Sequence[Any]] | None = None,
    unseen: Mapping[str, float] | None = None,
    parameters: int = 1_000_000,
    seconds: float = 0.1,
    pictures: bool = False,
) -> Path:
    """Writes one run directory and returns its path."""
    choices = {"data": dataset, "logger": "csv", "trainer": "auto", **choices}
    config = {
        "model": {"_target_": f"models.{choices.get('model')}", "norm": "batch"},
        "loss": {"_target_": f"losses.{choices.get('loss')}"},
        "trainer": {"max_steps": 1000, "devices": 1},
        "data": {"root": str(folder), "batch_size": 8},
        "seed": seed,
        "fold": fold,
        **{k: v for k, v in (settings or {}).items() if "." not in k},
    }
    for dotted, value in (settings or {}).items():
        if "." in dotted:
            group, _, key = dotted.partition(".")
            config.setdefault(group, {})[key] = value
    identity = hashlib.sha256(json.dumps([choices, config, seed, fold, dataset]).encode()).hexdigest()[:12]
    name = "-".join(str(choices[k]) for k in ("model", "loss", "optimizer") if k in choices)
    path = folder / f"{name}-{identity}"
    path.mkdir(parents=True)
    rows = (
        rows
        if rows is not None
        else score_rows(
            quality,
            dataset=dataset,
            cases=cases,
            classes=classes,
            seed=seed,
            fold=fold,
            key=(name, str(settings)),
            groups=groups,
        )
    )
    write_table(path / "cases.csv", rows)
    for other, other_quality in (unseen or {}).items():
        other_rows = score_rows(other_quality, dataset=other, split="unseen", seed=seed, fold=fold, key=name)
        write_table(path / "unseen" / f"{other}.csv", other_rows)
    steps = np.arange(100, 1001, 100)
    curve = quality * (1 - np.exp(-steps / 300)) + np.random.default_rng(seed).normal(0, 0.005, len(steps))
    lines = [[s, repr(float(1 - c)), repr(float(c)), 0.001] for s, c in zip(steps, curve, strict=True)]
    write_table(path / "metrics.csv", lines, ("step", "train/loss", "validation/dice", "lr"))
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "split.json").write_text(json.dumps({"test": sorted({row[4] for row in rows}), "fold": fold}))
    if pictures:
        (path / "previews").mkdir()
        for place, colour in (("best", "seagreen"), ("median", "goldenrod"), ("worst", "firebrick")):
            Image.new("RGB", (640, 200), colour).save(path / "previews" / f"{place}.png")
    facts = {
        "id": identity,
        "name": name,
        "wandb_id": identity[:8],
        "status": "finished",
        "error": None,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:10:00+00:00",
        "dataset": {
            "name": dataset,
            "classes": ["background", *classes],
            "background": 0,
            "cases": {"train": 40, "validation": 8, "test": len({row[4] for row in rows})},
            "fingerprint": f"fingerprint of {dataset}",
        },
        "choices": choices,
        "overrides": list(overrides),
        "seed": seed,
        "fold": fold,
        "folds": 5,
        "budget": {"max_steps": 1000, "batch_size": 8, "patch_size": [128, 128]},
        "metrics": METRICS,
        "metric_settings": {"nsd_tolerance": 2.0},
        "versions": {"segbench": "0.1.0", "torch": "2.9"},
        "git": {"commit": "abc", "dirty": False},
        "hardware": {"processor": "a processor"},
        "precision": {"asked": "auto", "used": "bf16-mixed"},
        "cost": {
            "parameters": parameters,
            "flops": 1000 * parameters,
            "seconds_per_case": seconds,
            "train_seconds": 60.0,
            "peak_memory_bytes": 10**9,
        },
    }
    facts.update(record or {})
    (path / "run.json").write_text(json.dumps(facts, indent=2))
    return path


def make_sweep(
    folder: Path,
    qualities: Mapping[tuple[str, str], float],
    *,
    seeds: Sequence[int] = (0, 1),
    datasets: Sequence[str] = ("wbc",),
    **more: Any,
) -> list[Path]:
    """Runs of every (model, loss), seed and data set; the data sets differ in how hard they are."""
    return [
        make_run(
            folder,
            choices={"model": model, "loss": loss, "optimizer": "adam"},
            quality=quality - 0.05 * number,
            seed=seed,
            dataset=dataset,
            parameters=10**6 * (1 + place),
            seconds=0.05 * (1 + place),
            **more,
        )
        for number, dataset in enumerate(datasets)
        for place, ((model, loss), quality) in enumerate(qualities.items())
        for seed in seeds
    ]


QUALITIES = {
    ("unet", "dice"): 0.86,
    ("unet", "tversky"): 0.82,
    ("segnet", "dice"): 0.75,
    ("segnet", "tversky"): 0.74,
}
