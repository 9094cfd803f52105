"""The only LightningModule: one optimizer step, one validated case, one tested case."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from segbench.data.preparation import Geometry
from segbench.decoders import Decoder
from segbench.errors import UserError
from segbench.evaluation.scoring import Row, Scorer
from segbench.evaluation.segmenting import Segmentation, Watch, predict_whole, segment
from segbench.evaluation.validation import mean_scores
from segbench.inference import Inference
from segbench.metrics.streaming import Streaming
from segbench.runs.criterion import Criterion
from segbench.training.objective import Objective, centre

Item = TypeVar("Item")


@runtime_checkable
class WatchesGap(Protocol):
    """An optimizer that decides by the generalisation gap."""

    def after_validation(self, gap: float) -> None:
        """Take note, after every validation, of how much better the training cases are than the validation cases."""


class SegmentationModule(L.LightningModule):
    """The training of a model on patches, and its prediction of whole cases.

    Args:
        model: image (B, C, *P) -> dict of logits per head.
        objective: the loss.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer; stepped after every optimizer
            step, or after every validation with the score if it is a `ReduceLROnPlateau`.
        inference: predicts a whole image.
        decoder: turns logits into a label map.
        scorer: scores a label map against the reference.
        validation_scorer: the same for validation.
        criterion: the metrics whose mean over classes and cases chooses the checkpoint.
        streaming: further metrics of the parts train and validation, of the head `mask`.
        channels_last: whether images and weights are stored with the channels innermost.
        seed: together with the step it seeds what the network draws (dropout).
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        inference: Inference,
        decoder: Decoder,
        scorer: Scorer,
        validation_scorer: Scorer,
        criterion: Criterion,
        streaming: Mapping[str, Streaming],
        channels_last: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.inference = inference
        self.decoder = decoder
        self.scorer = scorer
        self.validation_scorer = validation_scorer
        self.criterion = criterion
        self.train_metrics, self.validation_metrics = streaming.get("train"), streaming.get("validation")
        self.channels_last = channels_last
        self.seed = seed
        self.rows: list[Row] = []
        self.seconds: list[float] = []
        self.on_predicted: Callable[[str, np.ndarray, np.ndarray | None], None] | None = None
        self.tables: dict[str, Tensor] = {}
        self._validation_rows: tuple[list[Row], list[Row]] = ([], [])
        self._scheduler: LRScheduler | None = None
        self._unchecked: tuple[Tensor, int, Sequence[str]] | None = None

    def arrange(self, image: Tensor) -> Tensor:
        """The image in the memory format that the model computes in."""
        return image.contiguous(memory_format=memory_format(image.ndim)) if self.channels_last else image

    def forward(self, image: Tensor, batch: Mapping[str, Tensor] | None = None) -> dict[str, Tensor | list[Tensor]]:
        """The model's outputs; while it learns, a model that has `told` gets the targets of these heads, too."""
        known = {head: batch[head] for head in getattr(self.model, "told", ()) if head in batch} if batch else {}
        outputs: dict[str, Tensor | list[Tensor]] = self.model(self.arrange(image), *([known] if known else []))
        return outputs

    # Training

    def configure_model(self) -> None:
        """Arrange the weights. Later than here DDP has laid out its buckets, and would mix up the first gradients."""
        if self.channels_last:
            self.model.to(memory_format=memory_format(self._image_ndim()))

    def configure_optimizers(self) -> Optimizer:
        """The optimizer; the scheduler is stepped by this module, so that a checkpoint always has both."""
        try:
            optimizer = self.make_optimizer([p for p in self.parameters() if p.requires_grad])
            self._scheduler = self.make_scheduler(optimizer)
        except (TypeError, ValueError) as error:  # values are checked by torch only when they are used
            raise UserError(f"optimizer or scheduler: {error}") from error
        return optimizer

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """The loss of one batch."""
        # Dropout is a function of (seed, step), so that a resumed run draws the same.
        torch.manual_seed((self.seed << 32) + self.global_step)
        self._check_finite()
        outputs = self(batch["image"], batch)
        loss, parts = self.objective(outputs, batch, self.global_step)
        self._unchecked = (loss.detach(), self.global_step, batch["case_id"])
        size = len(batch["image"])
        self.log("train/loss", loss.detach(), batch_size=size)
        if len(parts) > 1:
            self.log_dict({f"train/loss_{head}": part.detach() for head, part in parts.items()}, batch_size=size)
        weights = self.objective.weights(self.global_step)
        if weights:
            self.log_dict({f"train/weight_{head}": weight for head, weight in weights.items()}, batch_size=size)
        self.log("lr", float(self.trainer.optimizers[0].param_groups[0]["lr"]), batch_size=size)
        if self.train_metrics is not None:
            self._stream_batch(self.train_metrics, outputs["mask"], batch["mask"])
        return torch.as_tensor(loss)

    def _stream_batch(self, metrics: Streaming, logits: Tensor | list[Tensor], target: Tensor) -> None:
        """Log the streaming metrics of a batch at the steps that are logged."""
        if (self.global_step + 1) % self.trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        finest = (logits[0] if isinstance(logits, list) else logits).detach()
        with torch.autocast(finest.device.type, enabled=False):
            metrics.update(finest, centre(target, finest.shape[2:]))
            numbers, _ = metrics.result()
        self.log_dict({f"train/{name}": value for name, value in numbers.items()}, batch_size=len(finest))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One optimizer step, then one scheduler step."""
        super().optimizer_step(*args, **kwargs)
        if self._scheduler is not None and not isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step()

    def _check_finite(self) -> None:
        """Look at the loss of the step before: by now it is computed, so that nothing waits for it.

        Where it is not finite in one process, all of them end.
        """
        if self._unchecked is None:
            return
        loss, step, cases = self._unchecked
        self._unchecked = None
        finite = torch.isfinite(loss).int()
        if _several_processes():
            torch.distributed.all_reduce(finite, torch.distributed.ReduceOp.MIN)
        if not finite:
            value, names = _gather([] if torch.isfinite(loss) else [(loss.item(), ", ".join(dict.fromkeys(cases)))])[0]
            raise UserError(
                f"the loss is {value} at step {step}, with the cases {names}: try a smaller optimizer.lr,"
                " trainer.gradient_clip, or trainer.precision=32-true"
            )

    # Validation

    def on_validation_epoch_start(self) -> None:
        """Forget the cases of the validation before."""
        self._check_finite()
        self._validation_rows = ([], [])
        if self.validation_metrics is not None:
            self.validation_metrics.collection.reset()  # of one that was given up

    def validation_step(self, case: dict[str, Any] | None, index: int, dataloader_idx: int = 0) -> None:
        """Score one whole case: of the validation part (loader 0), or of the training part (loader 1).

        None in a process that has no case, because there are fewer than processes.
        """
        if case is None:
            return
        watched = self.validation_metrics is not None and dataloader_idx == 0
        label, regions, outputs = self.segment(case["image"], case["geometry"], keep=watched)
        objects = self.validation_scorer.scores_objects and case["instances"] is not None
        instances = self.decoder.instances(outputs, label) if objects else None
        self._validation_rows[dataloader_idx].extend(self.validation_scorer(label, instances, case, regions))
        if watched and self.validation_metrics is not None:
            target = torch.from_numpy(case["label"].astype(np.int64)).to(self.device)
            self.validation_metrics.update(outputs["mask"][None], target[None])

    def on_validation_epoch_end(self) -> None:
        """Log the score that chooses the checkpoint, what it is the mean of, and how far it is behind that of training.

        A plateau scheduler sees the score here, and an optimizer that wants to the generalisation gap.
        """
        unseen, seen = (mean_scores(_gather(rows), self.criterion) for rows in self._validation_rows)
        score, train_score = (scores[self.criterion.key] for scores in (unseen, seen))
        self.log_dict({f"validation/{name}": value for name, value in unseen.items()}, batch_size=1)
        if self.validation_metrics is not None:
            numbers, self.tables = self.validation_metrics.result()
            self.log_dict({f"validation/{name}": value for name, value in numbers.items()}, batch_size=1)
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(score)
        if not math.isnan(train_score):
            gap = self.criterion.gap(train_score, score)
            shown = {f"train/{name}": value for name, value in seen.items() if "/" not in name}
            self.log_dict({**shown, "validation/gap": gap}, batch_size=1)
            optimizer = self.trainer.optimizers[0] if self.trainer.optimizers else None
            if isinstance(optimizer, WatchesGap):
                optimizer.after_validation(gap)

    # Test

    def on_test_epoch_start(self) -> None:
        """Forget the rows of a test before."""
        self.rows, self.seconds = [], []

    def test_step(self, case: dict[str, Any] | None, index: int) -> None:
        """Predict and score one whole case; None in a process that has no case."""
        if case is None:
            return
        _synchronise(self.device)
        start = time.perf_counter()
        counted = self.scorer.probabilities(case)
        watch = None if counted is None else counted.see
        label, regions, outputs = self.segment(case["image"], case["geometry"], watch=watch)
        _synchronise(self.device)
        self.seconds.append(time.perf_counter() - start - (0.0 if counted is None else counted.seconds))
        instances = self.decoder.instances(outputs, label) if case["instances"] is not None else None
        self.rows += self.scorer(label, instances, case, regions, counted)
        if self.on_predicted is not None:
            self.on_predicted(case["case_id"], label, regions)

    def on_test_epoch_end(self) -> None:
        """Gather the rows of all processes in each of them."""
        self.rows = _gather(self.rows)

    def segment(
        self, image: Tensor, geometry: Geometry | None = None, keep: bool = False, watch: Watch | None = None
    ) -> Segmentation:
        """The label map of one image (1, C, *S), at the size of the case that it was prepared from."""
        return segment(self, self.inference, self.decoder, image, geometry, self.scorer.background, keep, watch)

    def predict_case(self, image: Tensor, geometry: Geometry | None = None) -> dict[str, Tensor]:
        """Logits (K, *S) of each head for one image (1, C, *S), at the size of the case that it was prepared from."""
        return predict_whole(self, self.inference, image, geometry, self.scorer.background)

    # State

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the scheduler and the last tables; a checkpoint of a run that has gone wrong is not written."""
        self._check_finite()
        checkpoint["tables"] = self.tables
        if self._scheduler is not None:
            checkpoint["scheduler"] = self._scheduler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the scheduler's state until the scheduler exists."""
        self.tables = checkpoint.get("tables", {})
        self._scheduler_state = checkpoint.get("scheduler")

    def on_train_start(self) -> None:
        """Restore the scheduler, after the optimizer has been restored."""
        state = getattr(self, "_scheduler_state", None)
        if state is not None and self._scheduler is not None:
            self._scheduler.load_state_dict(state)

    def _image_ndim(self) -> int:
        return max((parameter.ndim for parameter in self.model.parameters()), default=4)


def memory_format(ndim: int) -> torch.memory_format:
    """Channels innermost for image batches of 2D (4 axes) and 3D (5 axes)."""
    return {4: torch.channels_last, 5: torch.channels_last_3d}.get(ndim, torch.contiguous_format)


def _several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _gather(rows: list[Item]) -> list[Item]:
    """The rows of all processes."""
    if not _several_processes():
        return rows
    shares: list[list[Item]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(shares, rows)
    return [row for share in shares for row in share]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
