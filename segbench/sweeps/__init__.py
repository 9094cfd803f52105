"""Sweeps: which runs are asked for, where they are executed, and what became of them.

`callback` names a sweep and ends it with its comparison; `plan` lists its runs; `directory` is its folder;
`launcher` executes them, in this process (`basic`), beside each other (`local`), or as a SLURM array (`slurm`).
Hydra finds these classes through `hydra_plugins.segbench`.
"""
