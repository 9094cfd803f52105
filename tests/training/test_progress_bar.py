"""A training says how far it is, also without a terminal and between validations."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from segbench.runs.criterion import Criterion
from segbench.training.progress_bar import ProgressBar


class Training:
    """A trainer whose steps and cases take as long as it is told."""

    def __init__(self, terminal=False, first=True):
        self.now = 0.0
        self.out = io.StringIO()
        console = Console(file=self.out, force_terminal=terminal, width=200)
        self.bar = ProgressBar(Criterion(), every=50, console=console, clock=lambda: self.now)
        self.trainer = SimpleNamespace(
            global_step=0, max_steps=100, is_global_zero=first, num_val_batches=[20, 5], num_test_batches=[10],
            state=SimpleNamespace(fn="fit"), callback_metrics={"validation/dice": 0.5},
        )  # fmt: skip
        self.bar.on_train_start(self.trainer, None)

    def steps(self, count, seconds):
        for _ in range(count):
            self.now += seconds
            self.trainer.global_step += 1
            self.bar.on_train_batch_end(self.trainer, None, {"loss": 0.25})

    def validate(self, seconds):
        self.bar.on_validation_start(self.trainer, None)
        for loader, count in enumerate(self.trainer.num_val_batches):
            for index in range(count):
                self.now += seconds
                self.bar.on_validation_batch_end(self.trainer, None, None, None, index, loader)
        self.bar.on_validation_end(self.trainer, None)

    @property
    def lines(self):
        return self.out.getvalue().splitlines()


def test_the_first_step_and_then_every_ten_seconds_have_a_line():
    training = Training()
    training.steps(1, 4.0)
    assert training.lines == ["step 1/100    0.25 steps/s, 396 s left"]
    training.steps(10, 4.0)
    assert [line.split("  ")[0] for line in training.lines] == ["step 1/100", "step 4/100", "step 7/100", "step 10/100"]
    assert training.lines[-1] == "step 10/100  loss 0.250  0.25 steps/s, 360 s left"


def test_quick_trainings_have_a_line_for_each_validation():
    training = Training()
    training.steps(50, 0.01)
    training.validate(0.01)
    assert len(training.lines) == 2
    assert training.lines[1].startswith("step 50/100  loss 0.250  validation dice 0.500  ")


def test_long_validations_and_tests_say_how_far_they_are():
    training = Training()
    training.validate(3.0)
    assert training.lines[:3] == ["validating case 4/25", "validating case 8/25", "validating case 12/25"]
    training.now += 1
    for index in range(10):
        training.now += 5.0
        training.bar.on_test_batch_end(training.trainer, None, None, None, index)
    assert training.lines[-1] == "testing case 10/10"


@pytest.mark.parametrize(("seconds", "said"), [(3.0, True), (0.1, False)])
def test_trainings_that_mostly_validate_say_so(seconds, said):
    training = Training()
    training.steps(10, 3.5)
    training.validate(seconds)
    training.bar.on_train_end(training.trainer, None)
    assert ("68% of the training's 110 s went into validations: trainer.validate_every" in training.lines[-1]) == said


def test_only_the_first_process_speaks():
    training = Training(first=False)
    training.steps(20, 5.0)
    training.validate(5.0)
    training.bar.on_train_end(training.trainer, None)
    assert not training.lines


def test_a_terminal_has_a_bar_and_no_lines():
    training = Training(terminal=True)
    training.steps(20, 5.0)
    training.validate(5.0)
    training.bar.on_train_end(training.trainer, None)
    assert "steps/s" not in training.out.getvalue()
    assert "validating 25/25" in training.out.getvalue()
