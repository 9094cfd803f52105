"""Sweeps: the runs that are asked for, the places where they are executed, and their ends.

`callback` names a sweep and ends it with its comparison; `plan` lists its runs, each a `job`; `directory` is its
folder; `launcher` executes them, in this process (`basic`), beside each other (`local`), or as a SLURM array (`slurm`).
Hydra finds these classes through `hydra_plugins.segbench`.
"""
