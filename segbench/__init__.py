"""segbench: which segmentation method is better, and how sure one can be of it."""

__version__ = "0.1.0"
