"""A run on disk: its files, its record, its progress; without PyTorch."""
