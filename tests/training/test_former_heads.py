"""Parts of the objective whose pixels count by the mistakes of a former head."""

import pytest
import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.losses.attention import attention
from segbench.losses.cross_entropy import CrossEntropy
from segbench.training.objective import Objective, Part

SIZE = (2, 6, 5)


def chain(count: int, normalize: bool = False) -> Objective:
    """Parts 1 .. count, each after the one before."""
    return Objective(
        {
            f"stage_{n}": Part(CrossEntropy(), former=f"stage_{n - 1}" if n > 1 else None, normalize=normalize)
            for n in range(1, count + 1)
        }
    )


def drawn(count: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs of each stage, and a batch in which some pixels are ignored."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 2, SIZE, generator=generator)
    label[0, 0] = 255
    names = [f"stage_{n}" for n in range(1, count + 1)]
    outputs = {name: 2 * torch.randn(SIZE[0], 2, *SIZE[1:], generator=generator) for name in names}
    return {name: value.requires_grad_() for name, value in outputs.items()}, dict.fromkeys(names, label)


def test_one_stage_is_the_plain_loss() -> None:
    outputs, batch = drawn(1)
    total, _ = chain(1)(outputs, batch)  # type: ignore[arg-type]
    label = batch["stage_1"]
    kept = label != 255
    foreground = (outputs["stage_1"][:, 1] - outputs["stage_1"][:, 0])[kept]
    plain = nn.functional.binary_cross_entropy_with_logits(foreground, label[kept].float())
    torch.testing.assert_close(total, plain)


@pytest.mark.parametrize("normalize", [False, True])
def test_weights_are_passed_on(normalize: bool) -> None:
    """By the formula: c_1 = 1, c_n+1 = beta_n c_n, and the sum of c BCE over the pixels that count."""
    outputs, batch = drawn(4)
    total, parts = chain(4, normalize)(outputs, batch)  # type: ignore[arg-type]
    kept = batch["stage_1"] != 255
    target = batch["stage_1"][kept]
    c = torch.ones(len(target))
    for n in range(1, 5):
        logits = outputs[f"stage_{n}"].movedim(1, -1)[kept]
        bce = nn.functional.cross_entropy(logits, target, reduction="none")
        expected = (c * bce).sum() / (c.sum() if normalize else len(c))
        torch.testing.assert_close(parts[f"stage_{n}"], expected)
        assert (c >= 0.5 ** (n - 1)).all()
        assert (c <= 1.5 ** (n - 1)).all()
        y = logits.softmax(1)[:, 1].detach()
        right = (y >= 0.5) == (target == 1)
        c = c * torch.where(right, 1 - (y - 0.5).abs(), 1 + (y - 0.5).abs())
    torch.testing.assert_close(total, sum(parts.values()))


def test_no_gradient_through_the_weights() -> None:
    outputs, batch = drawn(2)
    _, parts = chain(2)(outputs, batch)  # type: ignore[arg-type]
    parts["stage_2"].backward()
    assert outputs["stage_1"].grad is None
    assert outputs["stage_2"].grad is not None


def test_a_perfect_stage_halves_the_weights_everywhere() -> None:
    outputs, batch = drawn(2)
    label = batch["stage_1"].where(batch["stage_1"] != 255, 0)
    outputs["stage_1"] = torch.where(nn.functional.one_hot(label, 2).movedim(-1, 1) == 1, 50.0, -50.0)
    assert (attention(outputs["stage_1"], label) == 0.5).all()
    _, parts = chain(2)(outputs, batch)  # type: ignore[arg-type]
    alone, _ = Objective({"stage_2": Part(CrossEntropy())})(outputs, batch)  # type: ignore[arg-type]
    torch.testing.assert_close(parts["stage_2"], alone / 2)


def test_weights_of_the_task_count_besides() -> None:
    """As often as a weight says is as if the pixel were there so often."""
    outputs, batch = drawn(2)
    weight = torch.randint(0, 3, SIZE, generator=torch.Generator().manual_seed(3)).float()
    weight[batch["stage_1"] == 255] = 0
    parts = {"stage_1": Part(CrossEntropy()), "stage_2": Part(CrossEntropy(), former="stage_1")}
    _, found = Objective(parts, weighted=True)(outputs, {**batch, "weight": weight})  # type: ignore[arg-type]
    times = weight.long().flatten()

    def repeated(values: Tensor) -> Tensor:
        return values.movedim(1, -1).flatten(0, 2).repeat_interleave(times, 0).T[None, :, :, None]

    label = batch["stage_1"].flatten().repeat_interleave(times)[None, :, None]
    again = {name: repeated(value) for name, value in outputs.items()}
    _, expected = Objective(parts)(again, dict.fromkeys(again, label))  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)


def test_a_former_head_must_stand_before_and_the_loss_take_weights() -> None:
    with pytest.raises(UserError, match=r"former=b: must be a head before it in task.objective: there is none"):
        Objective({"a": Part(CrossEntropy(), former="b"), "b": Part(CrossEntropy())})
    with pytest.raises(UserError, match=r"task.objective.b: MSELoss takes no weights of pixels, which former gives"):
        Objective({"a": Part(CrossEntropy()), "b": Part(nn.MSELoss(), former="a")})
