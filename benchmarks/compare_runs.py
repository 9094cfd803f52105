"""A large sweep read and ranked: 2,000 run directories of 500 rows; and the command on 10 small runs.

python benchmarks/compare_runs.py [runs]
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import case_names, make_run, make_sweep

FOLDS, SEEDS, CASES, CLASSES = 5, 4, 50, 5


def write_sweep(folder: Path, runs: int) -> None:
    """Each run: 50 cases, 5 classes, 2 metrics = 500 rows."""
    names = case_names("cells", CASES * FOLDS)
    classes = [f"class_{k}" for k in range(CLASSES)]
    for method in range(runs // (FOLDS * SEEDS)):
        for seed in range(SEEDS):
            for fold in range(FOLDS):
                make_run(
                    folder,
                    choices={"model": f"model_{method // 10}", "loss": f"loss_{method % 10}"},
                    quality=0.7 + 0.001 * method,
                    dataset="cells",
                    seed=seed,
                    fold=fold,
                    cases=names[fold::FOLDS],
                    classes=classes,
                )


def read_and_rank(folder: Path) -> None:
    start = time.perf_counter()
    loaded = load_runs(find_runs(str(folder)), Rules())
    read = time.perf_counter() - start
    compare_scores(loaded.sets, Settings(metrics=loaded.sets[0].metrics[:1]))
    whole = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = sum(len(method.runs) for method in loaded.methods)
    print(f"{count:,} runs of {len(loaded.methods)} methods: read in {read:.1f} s, and ranked in {whole:.1f} s")
    print(f"largest memory {memory:.0f} MiB")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sweep(folder / "large", runs)
        read_and_rank(folder / "large")
        qualities = {("unet", f"loss_{k}"): 0.7 + 0.02 * k for k in range(5)}
        make_sweep(folder / "small", qualities, pictures=True)
        start = time.perf_counter()
        command = [sys.executable, "-m", "segbench", "compare", "runs=small", "output=out"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        print(f"10 runs, all outputs: {time.perf_counter() - start:.1f} s from command to report")


if __name__ == "__main__":
    main()
