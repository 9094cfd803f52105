"""Processes, signals, locks and files: what the operating system gives."""
