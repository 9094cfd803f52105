"""segbench: which segmentation method is better, and how sure is it."""

__version__ = "0.1.0"
