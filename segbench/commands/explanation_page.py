"""The pictures and the page of `segbench explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from segbench.compare.report.page.markup import tag

if TYPE_CHECKING:
    from segbench.explanation.decision import Decision

STYLE = """body{font:15px sans-serif;margin:2em;max-width:1100px}
img{min-width:520px;max-width:100%;image-rendering:pixelated}
table{border-collapse:collapse}
td,th{padding:2px 10px;text-align:left}"""
LEGEND = (
    "The region has an outline. Smaller deletion and larger insertion are better; weight is that of a filter in the"
    " region, drop what the Dice loses without it, difference Welch's t of its activations inside and outside."
)


def page(explained: Sequence[tuple[str, str, Mapping[str, str]]], numbers: pd.DataFrame, filters: pd.DataFrame) -> str:
    """The HTML page of all decisions.

    Args:
        explained: the name of each image, the class, and its pictures by method.
        numbers: lines of explanation.csv.
        filters: lines of filters.csv.
    """
    parts: list[Any] = [tag("h1", "Explanations"), tag("p", LEGEND)]
    for name, label, pictures in explained:
        parts.append(tag("h2", f"{name}: {label}"))
        for method, picture in pictures.items():
            parts.append(tag("h3", method.replace("_", " ")))
            parts.append(tag("img", src=picture, alt=f"{method} of {name}"))
        parts += [_table(frame[frame["case"] == name]) for frame in (numbers, filters) if len(frame)]
    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Explanations"), tag("style", Markup(STYLE)))
    return f"<!doctype html>\n{tag('html', head, tag('body', parts), lang='en')}\n"


def _table(frame: pd.DataFrame) -> Markup:
    shown = frame.drop(columns=["case", "class", "region"])
    rows = [tag("tr", [tag("td", _text(value)) for value in row]) for row in shown.itertuples(index=False)]
    return tag("table", tag("tr", [tag("th", str(column).replace("_", " ")) for column in shown]), rows)


def _text(value: object) -> str:
    """A number in four digits, n/a where there is none."""
    if isinstance(value, float):
        return "n/a" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def write_overlay(path: Path, decision: Decision, heat: np.ndarray) -> None:
    """Write the image beside the map over it; of a volume the slice of the hottest voxel.

    Args:
        path: of the PNG.
        decision: that is explained; its region gets an outline.
        heat: (*S) from 0 to 1.
    """
    import matplotlib
    from scipy.ndimage import binary_erosion

    from segbench.evaluation.previews import write_picture

    image, region = decision.image[0].numpy(), decision.region.numpy()
    if heat.ndim == 3:
        depth = int(np.unravel_index(heat.argmax(), heat.shape)[0])
        image, heat, region = image[:, depth], heat[depth], region[depth]
    shown = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, axis=0)
    low, high = np.percentile(shown, (1, 99))
    base = np.moveaxis(((shown - low) / max(high - low, 1e-6)).clip(0, 1), 0, -1)
    colours = matplotlib.colormaps["inferno"](heat)[..., :3]
    share = 0.25 + 0.55 * heat[..., None]
    over = (1 - share) * base + share * colours
    over[region & ~np.asarray(binary_erosion(region, border_value=1))] = (0.3, 1.0, 1.0)
    write_picture(path, (255 * np.concatenate([base, over], axis=1)).astype(np.uint8))
