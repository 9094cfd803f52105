"""Images that are made on a device are those that the workers make."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from segbench.data.arrays import ArraySpec
from segbench.data.augmentations.elastic import ControlPoints
from segbench.data.augmentations.on_device import PendingImages, batch_of
from segbench.data.augmentations.pipeline import Augmentation, Noise
from segbench.data.augmentations.spatial import Spatial
from segbench.data.datamodule import DataModule
from segbench.data.normalize import zscore
from segbench.data.patches import PatchSampler
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.targets import mask, original
from segbench.errors import UserError
from segbench.training.assembly import build_augmenter
from tests.data.arrays import Cases, random_case

CONF = Path(__file__).parents[3] / "conf" / "augmentation"
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu])]
BENT = Augmentation(Spatial(quarter_turns=0.5, flip=0.5, elastic=ControlPoints(2), elastic_probability=0.5))


def sampler(augmentation, shape, **options) -> PatchSampler:
    case = random_case(np.random.default_rng(0), shape)
    field = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    store = Cases(case=replace(case, arrays={"field": field}))
    training = TrainingCases(store, ["case"], 0, 3)  # type: ignore[arg-type]
    size = tuple(length // 2 for length in shape)
    return PatchSampler(training, size, InsideImage(0.5), augmentation, {"mask": mask}, zscore, **options)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(24, 28, 26), (12, 44, 40), (40, 44)])
@pytest.mark.parametrize("name", ["nnunet", "nnunet_2019", "standard_3d", None])
def test_samples_are_the_same(name, shape, device):
    augmentation = BENT if name is None else build_augmenter(OmegaConf.load(CONF / f"{name}.yaml"))
    if name == "nnunet_2019":
        shape = tuple(min(length, 28) for length in shape)
    inputs = {"field": ArraySpec()}
    here = sampler(augmentation, shape, input_arrays=inputs)
    there = sampler(replace(augmentation, device=device), shape, input_arrays=inputs)
    numbers = range(24)
    expected = batch_of([here[k] for k in numbers])
    found = batch_of([there[k] for k in numbers])
    assert isinstance(found["image"], PendingImages)
    assert len(found["image"]) == len(numbers)
    assert torch.equal(found["mask"], expected["mask"])
    assert found["case_id"] == expected["case_id"]
    made = found["image"].pin_memory().to("cpu")
    torch.testing.assert_close(made, expected["image"], atol=2e-3, rtol=1e-3)
    assert torch.equal(found["image"].to("cpu"), made)  # the same, however often


def test_workers_send_what_is_to_be_made():
    augmentation = replace(build_augmenter(OmegaConf.load(CONF / "nnunet.yaml")), device="cpu")
    data = DataModule(None, None, None, None, sampler(augmentation, (24, 28, 26)), 3, 1, batches=2)  # type: ignore[arg-type]
    batches = [batch["image"].to("cpu") for batch in data.train_dataloader()]
    data = DataModule(None, None, None, None, sampler(augmentation, (24, 28, 26)), 3, 0, batches=2)  # type: ignore[arg-type]
    for batch, image in zip(data.train_dataloader(), batches, strict=True):
        assert torch.equal(batch["image"].to("cpu"), image)


def test_transforms_of_the_user_are_called_with_arrays():
    def negative(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        assert isinstance(image, np.ndarray)
        return -image

    augmentation = Augmentation(intensity={"negative": negative, "noise": Noise(1.0, (0.1, 0.2))})
    image = batch_of([sampler(augmentation, (20, 20))[0]])["image"]
    later = batch_of([sampler(replace(augmentation, device="cpu"), (20, 20))[0]])["image"]
    torch.testing.assert_close(later.to("cpu"), image)


def test_targets_of_the_augmented_image_are_refused():
    augmentation = replace(BENT, device="cpu")
    made_of_image = sampler(augmentation, (20, 20))
    with pytest.raises(UserError, match=r"augmentation.device=cpu: a target is made of the augmented image"):
        replace(made_of_image, targets={"image": lambda sample: sample.image})[0]
    before = replace(made_of_image, targets={"image": original})[0]["image"]
    assert before is not None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said_before_training():
    case = random_case(np.random.default_rng(0), (20, 20))
    with pytest.raises(UserError, match=r"augmentation\.device=cuda: PyTorch sees no GPU"):
        Augmentation(device="cuda").check(case, (8, 8))
