"""segbench: which segmentation method is better, and how sure one can be of it."""

import os

__version__ = "0.2.0"

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would ask the network for news when imported
