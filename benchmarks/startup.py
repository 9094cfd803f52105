"""Seconds from the command to its answer, for what people type to find their way.

python benchmarks/startup.py [repeats]
"""

import statistics
import subprocess
import sys
import time


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "segbench", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for arguments in (["--help"], ["--cfg", "job"], ["compare", "--help"]):
        times = [seconds(*arguments) for _ in range(repeats)]
        print(f"segbench {' '.join(arguments):15} median {statistics.median(times):.2f} s, largest {max(times):.2f} s")


if __name__ == "__main__":
    main()
