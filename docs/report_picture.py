"""Make docs/report.png, the beginning of a report: three losses, two seeds each, on cells drawn by code.

    python docs/report_picture.py [FOLDER]

It trains six small networks into FOLDER (a few minutes on two CPU cores; a second call trains none again) and needs
Chromium, which takes the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import segbench

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(folder: Path) -> None:
    """Train, compare and take the picture."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed")
    segbench.sweep(
        ["model=unet_small", "loss=cross_entropy,dice,dice_ce", "seed=0,1", "trainer.max_steps=200", "logger=none"],
        folder,
    )
    page = (folder / "comparison" / "report.html").resolve()
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,860"]
    subprocess.run([browser, *options, f"--screenshot={HERE / 'report.png'}", page.as_uri()], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("sweeps/report_picture"))
