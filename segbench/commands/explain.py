"""The command `explain`: where a network looked when it decided, and which of its filters decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, ListConfig
from rich.console import Console

from segbench.commands.explanation_page import page, write_overlay
from segbench.config.schema import require
from segbench.errors import UserError
from segbench.system.atomic import replaced

if TYPE_CHECKING:
    import torch
    from torch import nn

    from segbench.explanation.decision import Decision
    from segbench.explanation.layers import Response
    from segbench.training.predictor import FinishedRun

NUMBERS = "explanation.csv"
FILTERS = "filters.csv"
PAGE = "explanation.html"


def explain(config: DictConfig) -> None:
    """Explain the decisions that the configuration names; see conf/explain.yaml.

    Raises:
        UserError: where the run, a case, the class, the region or the layer is not there.
    """
    run, output = Path(require(config, "run")), Path(config.output)
    if (config.case is None) == (config.image is None):
        raise UserError("say what to explain: either case=ID or image=FILE")
    if (config.region == "point") != (config.point is not None):
        raise UserError("region=point needs point=[y,x], and no other region takes it")
    if output.exists() and any(output.iterdir()) and not (output / PAGE).exists():
        raise UserError(f"output={output}: holds something that is no explanation; name another folder")
    from segbench.training.predictor import load_run  # only now is PyTorch imported

    finished = load_run(run, "cpu", trusted=config.trust)
    if finished.config.data.slices is not None:
        raise UserError(f"run={run}: its 2D network sees slices of volumes; give a slice to a run on images instead")
    network = finished.module.model.float().eval()
    console = Console()
    with replaced(output) as new:
        pages, numbers, filters = [], [], []
        for name, image, truth in _images(config, finished):
            decision = decide(config, finished, network, name, image, truth)
            found = _explained(config, network, decision, new)
            pages.append((decision.name, decision.label, found.pictures))
            numbers += found.numbers
            filters += found.filters
        pd.DataFrame(numbers).to_csv(new / NUMBERS, index=False)
        pd.DataFrame(filters).to_csv(new / FILTERS, index=False)
        (new / PAGE).write_text(page(pages, pd.DataFrame(numbers), pd.DataFrame(filters)), encoding="utf-8")
    for line in numbers:
        console.print(
            f"{line['case']}: {line['class']}, {line['method']}: deletion {line['deletion']:.3f}, insertion"
            f" {line['insertion']:.3f}, the hottest pixel is {'in' if line['points_into'] else 'outside'} the region",
            soft_wrap=True, highlight=False, markup=False,
        )  # fmt: skip
    console.print(f"page      {output / PAGE}", soft_wrap=True, highlight=False, markup=False)


@dataclass
class _Found:
    """The explanations of one decision: pictures by title, and lines of the two tables."""

    pictures: dict[str, str]
    numbers: list[dict[str, Any]]
    filters: list[dict[str, Any]]


def _explained(config: DictConfig, network: nn.Module, decision: Decision, folder: Path) -> _Found:
    from segbench.explanation.filters import responsible_filters
    from segbench.explanation.heat import normalised
    from segbench.explanation.layers import deepest_layer, find_layer, response
    from segbench.explanation.quality import deletion_and_insertion, points_into

    name = config.layer or deepest_layer(network, decision.image)
    layer = find_layer(network, name)
    answer = response(network, layer, decision.image, decision.score)
    found = _Found({}, [], [])
    shared = {"case": decision.name, "class": decision.label, "region": config.region, "layer": name}
    for method in config.methods:
        heat = normalised(_methods(network, decision, answer)[method]())
        deletion, insertion = deletion_and_insertion(
            heat, decision.image, lambda changed: decision.probability(network, changed)
        )
        picture = f"{decision.name}-{method}.png"
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{decision.name}-{method}.npy", heat.cpu().numpy())
        write_overlay(folder / picture, decision, heat.cpu().numpy())
        found.pictures[method] = picture
        into = points_into(heat, decision.region)
        line = {"method": method, "deletion": deletion, "insertion": insertion, "points_into": into}
        found.numbers.append(shared | line)
    if config.filters:
        best = responsible_filters(
            layer,
            answer,
            decision.region,
            lambda: decision.dice(network),
            most=min(config.filters, len(answer.features)),
        )
        found.filters += [shared | one._asdict() for one in best]
    return found


def _methods(network: nn.Module, decision: Decision, answer: Response) -> Mapping[str, Callable[[], torch.Tensor]]:
    from segbench.explanation.heat import grad_cam, grad_cam_plus_plus, integrated_gradients, occlusion

    size, score = decision.image.shape[2:], decision.score
    return {
        "grad_cam": lambda: grad_cam(answer, size),
        "grad_cam_plus_plus": lambda: grad_cam_plus_plus(answer, size),
        "integrated_gradients": lambda: integrated_gradients(network, decision.image, score),
        "occlusion": lambda: occlusion(network, decision.image, score),
    }


def _images(config: DictConfig, finished: FinishedRun) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """The name of each image, what the network sees of it (C, *S), and its classes (*S) where they are known."""
    from segbench.commands.predict import read_image
    from segbench.training import assembly

    if config.image is not None:
        dims, channels = finished.image_dims, finished.image_channels
        for path in map(Path, _several(config.image)):
            image, spacing = read_image([path], dims, channels)
            yield path.name.partition(".")[0], finished.seen(image, spacing=spacing).image, None
        return
    _, store = assembly.build_dataset(finished.config)
    for name in _several(config.case):
        if name not in store.ids:
            raise UserError(
                f"case={name}: the run's data set has no such case; there are {', '.join(store.ids[:5])}, .."
            )
        case = store[name]
        arrays = {key: np.asarray(case.arrays[key]) for key in finished.file_arrays}
        seen = finished.seen(np.asarray(case.image), arrays, case.spacing)
        yield name, seen.image, np.asarray(case.label) if seen.geometry is None else None


def decide(
    config: DictConfig,
    finished: FinishedRun,
    network: nn.Module,
    name: str,
    pixels: np.ndarray,
    truth: np.ndarray | None,
) -> Decision:
    """The decision about an image that the configuration asks about.

    Raises:
        UserError: where there is no such class, it was not found in the image, or the point lies outside.
    """
    import torch

    from segbench.explanation.decision import Decision, largest_part, logits_of, masks_of

    names = list(finished.probability_names)
    head = "regions" if "regions" in finished.config.task.heads else "mask"
    image = torch.from_numpy(np.ascontiguousarray(pixels))[None].float()
    with torch.no_grad():
        found = masks_of(logits_of(network, image, head), head)
    index = _class_index(config["class"], names, found, None if head == "regions" else finished.labels.background)
    where = found[index]
    if config.region == "point":
        point = tuple(config.point)
        if len(point) != where.ndim or any(not 0 <= p < n for p, n in zip(point, where.shape, strict=False)):
            raise UserError(f"point={list(point)}: must lie in the image, whose size is {list(where.shape)}")
        region = torch.zeros_like(where)
        region[point] = True
    else:
        if not where.any():
            raise UserError(
                f"class={names[index]}: the network did not find it in {name}: name another, or region=point"
            )
        region = largest_part(where) if config.region == "object" else where
    reference = where
    if truth is not None and truth.shape == tuple(where.shape):
        members = [index] if head == "mask" else list(finished.config.measured.regions[names[index]])
        reference = torch.from_numpy(np.isin(truth, members))
    return Decision(name, image, head, index, names[index], region, reference)


def _class_index(asked: str | int | None, names: Sequence[str], found: torch.Tensor, background: int | None) -> int:
    if asked is None:
        sizes = found.flatten(1).sum(1)
        if background is not None:
            sizes[background] = -1
        return int(sizes.argmax())
    if str(asked) in names:
        return names.index(str(asked))
    with suppress(ValueError):
        if 0 <= int(asked) < len(names):
            return int(asked)
    raise UserError(f"class={asked}: the run has no such class; known are {', '.join(names)}")


def _several(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, ListConfig) else [str(value)]
