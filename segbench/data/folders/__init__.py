"""Data sets that are folders of files: their layout, names, spacing and extra arrays."""
