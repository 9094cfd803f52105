"""The command `evaluate`: scores for a finished run, or for masks made by any other tool."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from segbench.errors import UserError


def evaluate(config: DictConfig) -> Path | None:
    """Score what the configuration names, see conf/evaluate.yaml; return the file of a run's scores.

    Raises:
        UserError: where it names neither a run nor two folders, or they cannot be scored.
    """
    folders = config.prediction is not None or config.reference is not None
    if folders == (config.run is not None):
        raise UserError("give either run=DIR, or prediction=DIR and reference=DIR")
    if folders:
        from segbench.commands.evaluate_masks import evaluate_masks

        evaluate_masks(config)
        return None
    from segbench.commands.evaluate_run import evaluate_run  # only now is PyTorch imported

    return evaluate_run(config)
