"""Advice on metrics: which of them say something about structures, and which mislead, after Metrics Reloaded.

The mapping is that of Maier-Hein, Reinke et al., Nature Methods 21:195 (2024), and the pitfalls those of Reinke et al.,
Nature Methods 21:182 (2024); the limits are conventions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OVERLAP = ("dice", "iou")
PRESETS = {"cldice": "thin_structures", "aji": "touching_objects"}
"""Files of conf/metrics that have metrics besides the standard ones."""
SMALL = 12.0
"""Diameter in pixels below which a structure is small."""
THIN = 5.0
"""Elongation from which on a class is tubular: in an image a length of 13 times the width."""
NARROW = 12.0
"""Width in pixels below which a tubular class is thin."""
RARE = 0.01
"""Share of the pixels below which a class is rare."""
VARIED = 10.0
"""Sizes of a tenth of the objects at either end that differ by this factor."""


@dataclass(frozen=True)
class Structures:
    """The structures of one class: its connected regions, or its objects where they are numbered.

    Attributes:
        present: share of the cases that have the class.
        share: of the labelled pixels of these cases, median.
        number: of structures in such a case, median.
        size: of a structure in pixels, median.
        smallest: size that a tenth of the structures does not reach.
        largest: size that a tenth exceeds.
        width: 2 pixels / border pixels, median over the cases: of a line its width, of a disc about its radius.
        elongation: pixels over those of discs or balls of that width, as many as there are structures; median.
        dimensions: of space.
    """

    present: float
    share: float
    number: float
    size: float
    smallest: float
    largest: float
    width: float
    elongation: float
    dimensions: int


@dataclass(frozen=True)
class Advice:
    """One finding about a data set.

    Attributes:
        classes: that it is about.
        reason: the finding, and what follows from it.
        use: metrics that say something here, by their names in conf/metrics.
        mislead: metrics that do not.
    """

    classes: tuple[str, ...]
    reason: str
    use: tuple[str, ...]
    mislead: tuple[str, ...]

    @property
    def preset(self) -> str:
        """The option that has metrics besides the standard ones, in brackets; empty where none is needed."""
        return next((f" (metrics={name})" for metric, name in PRESETS.items() if metric in self.use), "")

    @property
    def sentence(self) -> str:
        """The advice for a reader."""
        return f"{_names(self.classes)}: {self.reason}; metrics for it: {', '.join(self.use)}{self.preset}"


def advise(recorded: Mapping[str, Any]) -> list[Advice]:
    """Advice on the metrics of a data set.

    Args:
        recorded: as from `measure_structures`; empty where nothing is known.
    """
    found: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for name, values in (recorded.get("classes") or {}).items():
        for reason, use, mislead in _of_class(Structures(**values), bool(recorded.get("objects"))):
            found.setdefault((_kind(reason), use, mislead), []).append((name, reason))
    advice = [
        Advice(tuple(name for name, _ in of_kind), _joined(of_kind), use, mislead)
        for (_, use, mislead), of_kind in found.items()
    ]
    if (share := float(recorded.get("touching") or 0)) > 0:
        reason = f"objects touch in {100 * share:.0f} % of the cases: two that are merged lose hardly a pixel"
        advice.append(Advice(("objects",), reason, ("object_f1_50", "aji"), OVERLAP))
    return advice


def misleading(metrics: Sequence[str], recorded: Mapping[str, Any]) -> list[str]:
    """Say of each metric that is relied on why the data make it misleading, and what says more."""
    found = []
    for metric in metrics:
        for advice in advise(recorded):
            if metric in advice.mislead and not set(metrics) & set(advice.use):
                found.append(
                    f"{metric.replace('_', ' ')} can mislead here: {_names(advice.classes)}: {advice.reason}; look at"
                    f" {' or '.join(advice.use)} too{advice.preset}"
                )
    return found


_Finding = tuple[str, tuple[str, ...], tuple[str, ...]]


def _of_class(s: Structures, objects: bool) -> Iterator[_Finding]:
    diameter = s.size ** (1 / s.dimensions) * (1.13 if s.dimensions == 2 else 1.24)
    thin = s.elongation >= THIN and s.width < NARROW
    if thin:
        yield (
            f"tubular and thin (width {s.width:.1f} pixels): a border that is one pixel off costs as much overlap as a"
            " missing branch",
            ("cldice", "nsd"),
            OVERLAP,
        )
    if not thin and diameter < SMALL:
        per_object = ("object_f1_50",) if objects else ()
        yield (
            f"small (a diameter of {diameter:.0f} pixels): one pixel at the border changes the overlap by about"
            f" {100 * min(1.0, 2 / diameter):.0f} %",
            ("nsd", *per_object),
            OVERLAP,
        )
    if objects and s.number >= 2:
        yield (
            f"many objects ({s.number:.0f} in a case): pixels say nothing of how many are found",
            ("object_f1_50", "panoptic_quality"),
            (),
        )
        if s.largest > VARIED * s.smallest:
            yield (
                f"sizes from {s.smallest:.0f} to {s.largest:.0f} pixels: large objects decide the overlap",
                ("object_f1_50", "object_dice"),
                OVERLAP,
            )
    if s.share < RARE:
        yield (
            f"rare ({100 * s.share:.2g} % of the pixels): what counts the background is near 1 whatever is predicted",
            ("dice", "recall", "nsd"),
            ("specificity",),
        )
    if s.present < 1:
        yield (
            f"absent from {100 * (1 - s.present):.0f} % of the cases: a distance to nothing is only a convention",
            ("dice", "object_f1_50") if objects else ("dice",),
            ("hd", "hd95", "assd"),
        )


def _kind(reason: str) -> str:
    return reason.partition(" (")[0].partition(" from ")[0]


def _joined(of_kind: Sequence[tuple[str, str]]) -> str:
    """The reason of the first class, for all that have a like one."""
    return of_kind[0][1]


def _names(classes: Sequence[str]) -> str:
    return ", ".join(classes)
