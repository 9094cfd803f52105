"""Milliseconds to compose a run of a sweep and to name it, by Hydra alone and with its files read once.

python benchmarks/composition.py [runs]

For runs that differ in their seed, and for runs that differ in what they choose.
"""

import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import pinned
from segbench.config.paths import conf_folder

MODELS = ["unet", "unet_small", "segnet", "fcn8s", "attention_unet"]
LOSSES = ["dice", "tversky", "jaccard", "bce", "focal"]
OPTIMIZERS = ["adam", "adamw", "rmsprop", "sgd"]


def milliseconds(loader, master, runs) -> tuple[float, float]:
    """Wall and CPU time for each run."""
    start = time.perf_counter(), time.process_time()
    for overrides in runs:
        config = loader.load_sweep_config(master, overrides)
        assert config.hydra.sweep.subdir  # asks for the run's name and id
    return tuple(
        1e3 * (now - then) / len(runs)
        for now, then in zip((time.perf_counter(), time.process_time()), start, strict=True)
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    register_resolvers()
    seeds = [["data=wbc", "trainer.max_steps=1", f"seed={seed}"] for seed in range(count)]
    choices = [
        ["data=wbc", f"model={model}", f"loss={loss}", f"optimizer={optimizer}", f"seed={seed}"]
        for seed, model, loss, optimizer in itertools.product(range(count), MODELS, LOSSES, OPTIMIZERS)
    ]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("train", ["hydra.sweep.dir=sweep"], RunMode.MULTIRUN)
        for name, runs in ("seeds", seeds), ("choices", choices[:count]):
            alone = milliseconds(loader, master, runs[:: max(1, count // 20)])
            once = milliseconds(pinned(HydraContext(loader, Callbacks())).config_loader, master, runs)
            print(f"{count} {name}: Hydra alone {alone[0]:.1f} ms (CPU {alone[1]:.1f}), ", end="")
            print(f"files read once {once[0]:.1f} ms (CPU {once[1]:.1f}); in all {once[0] * len(runs) / 1e3:.1f} s")


if __name__ == "__main__":
    main()
