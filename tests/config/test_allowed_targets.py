"""A run of somebody else's executes nothing but what runs are made of."""

from contextlib import suppress

import pytest
from omegaconf import OmegaConf

from segbench.config.allowed_targets import check_trust, is_trusted
from segbench.config.paths import conf_folder
from segbench.errors import UserError

GROUPS = ["model", "loss", "optimizer", "scheduler", "task", "inference", "decoder", "metrics", "data", "augmentation"]


@pytest.mark.parametrize(
    "name",
    [
        "torch.load", "os.system", "builtins.exec", "pandas.read_pickle", "joblib.load", "numpy.load", "subprocess.run",
        "torch.nn.torch.load", "torch.nn.functional.torch.hub.load", "segbench.models.unet.torch.load",
        "segbench.data.case.np.load", "segbench.metrics.cost.torch.load", "segbench.data.store.CaseStore",
        "segbench.data.formats.write_mask", "segbench.system.atomic.write_atomically",
        "segbench.commands.execution.report", "segbench.config.instantiation.build", "hydra.utils.instantiate",
        "albumentations.load", "albumentations.core.serialization.from_dict", "monai.bundle.run",
        "monai.apps.download_and_extract", "monai.data.utils.pickle_load", "torchmetrics.utilities.data.torch.load",
    ],
)  # fmt: skip
def test_what_reads_writes_or_executes_is_not_trusted(name):
    with suppress(UserError):  # Hydra does not find it
        assert not is_trusted(name)


@pytest.mark.parametrize(
    "name",
    [
        "segbench.models.unet.UNet", "segbench.objective.Part", "segbench.data.targets.mask", "torch.nn.Conv2d",
        "torch.nn.functional.relu", "torch.optim.Adam", "monai.networks.nets.SegResNet",
        "torchmetrics.classification.BinaryF1Score",
        "segmentation_models_pytorch.Unet", "timm.create_model",
        "lightning.pytorch.callbacks.EarlyStopping", "segbench.metrics.overlap.dice",
    ],
)  # fmt: skip
def test_what_runs_are_made_of_is_trusted(name):
    assert is_trusted(name)


@pytest.mark.parametrize(
    "group", ["model", "loss", "optimizer", "scheduler", "task", "inference", "decoder", "metrics", "data"]
)
def test_everything_that_can_be_chosen_is_trusted(group):
    for path in sorted((conf_folder() / group).rglob("*.yaml")):
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        check_trust({group: node}, [], str(path))


def test_a_reference_is_looked_through():
    node = {"task": [{"_target_": "hydra.utils.get_method", "path": "os.system"}]}
    with pytest.raises(UserError, match=r"^run=x: task\[0\]\.path=os\.system is not executed: .*trust=\[os\]$"):
        check_trust(node, [], "run=x")
    check_trust(node, ["os"], "run=x")
    nested = {"model": {"_target_": "segbench.models.external.External", "net": {"_target_": "torch.load", "f": "x"}}}
    with pytest.raises(UserError, match=r"model\.net\._target_=torch\.load"):
        check_trust(nested, [], "run=x")


def test_trust_of_a_package_does_not_reach_its_neighbours():
    assert is_trusted("my_networks.Net", ["my_networks"])
    assert not is_trusted("my_networks_of_others.Net", ["my_networks"])
