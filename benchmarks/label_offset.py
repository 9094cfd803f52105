"""By how much the labels of a data set lie beside its images.

A network averaged over mirrored and turned images cannot lean to a side. Its logits for the validation cases of a run
are shifted by parts of a pixel; where another place than (0, 0) has the best Dice, the labels are shifted too.

    python benchmarks/label_offset.py runs/isbi2012/RUN
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from scipy.ndimage import shift

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.evaluation.results import predict
from segbench.training import assembly
from segbench.training.predictor import load_run

SHIFTS = np.arange(-1.5, 1.6, 0.25)  # pixels
BORDER = 4  # pixels, where a shift brings in what the image does not have


def foreground_dice(logits: np.ndarray, label: np.ndarray, offset: tuple[float, float]) -> float:
    """Dice of all foreground against class 0, the logits (2, H, W) moved by offset (rows, columns)."""
    moved = shift(logits[1] - logits[0], offset, order=1, mode="nearest") > 0
    inner = (slice(BORDER, -BORDER),) * 2
    found, reference = moved[inner], (label == 1)[inner]
    return float(2 * (found & reference).sum() / (found.sum() + reference.sum()))


def main(run: str) -> None:
    """Prints for each validation case of a run of two classes the Dice where it is, and at the best offset."""
    inference = OmegaConf.load(Path(run) / "config.yaml").inference
    inference.mirror = inference.rotate = True
    finished = load_run(Path(run), inference=inference)
    data = assembly.build_data(finished.config)
    for case in data.split.validation:
        stored = data.store[case]
        image = assembly.normalization(finished.config)(np.asarray(stored.image), data.store.meta(case).intensities)
        logits = np.asarray(predict(finished.module, finished.trainer, image)["mask"])
        label = np.asarray(stored.label)
        scores = {offset: foreground_dice(logits, label, offset) for offset in product(SHIFTS, SHIFTS)}
        best = max(scores, key=scores.__getitem__)
        print(f"{case}: Dice {scores[0.0, 0.0]:.4f}, {scores[best]:.4f} when moved by {tuple(map(float, best))} pixels")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        print("left out: needs the directory of a finished run on images of two classes")
