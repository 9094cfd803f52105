"""Tables of scores by any tool as methods beside runs; each is known by its ending and its first line."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.compare.reading.annotators import by_reference
from segbench.compare.reading.elsewhere import Elsewhere
from segbench.compare.reading.external import read_score_table
from segbench.compare.reading.monai_reports import is_report, read_report
from segbench.compare.reading.nnunet import read_summary
from segbench.compare.reading.panoptica import read_panoptica
from segbench.compare.reading.places import Place
from segbench.errors import UserError


def read_table(place: Place, metrics: Sequence[str]) -> Elsewhere:
    """The scores of nnU-Net's summary.json, panoptica's TSV, MONAI's METRIC_raw.csv, or another table.

    Args:
        place: the file.
        metrics: those that are ranked.

    Raises:
        UserError: where it cannot be read.
    """
    path = place.folder
    if path.suffix == ".json":
        return read_summary(place)
    if path.suffix == ".tsv":
        return read_panoptica(place)
    if is_report(path):
        return read_report(place)
    if place.name is not None:
        raise UserError(f"runs={place.text}: a table of scores names its methods itself; leave '{place.name}=' out")
    frame, _ = by_reference(read_score_table(path, metrics))
    return Elsewhere(frame, place.text, paths=(path,))
