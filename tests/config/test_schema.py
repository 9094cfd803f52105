from functools import partial

import pytest
from omegaconf import OmegaConf

from segbench.config import schema
from segbench.config.instantiation import build
from segbench.config.plain import as_yaml
from segbench.config.task import OF_A_BATCH
from segbench.errors import UserError
from tests.made_runs import configure


def test_heads_targets_and_objective_must_match():
    config = configure("+task.objective.contour.weight=1")
    with pytest.raises(UserError, match=r"task\.objective\.contour"):
        schema.check(config)
    config = configure("+task.heads.distance=1")
    with pytest.raises(UserError, match=r"task\.heads\.distance.*must match"):
        schema.check(config)


@pytest.mark.parametrize("head", [*OF_A_BATCH, "a-b"])
def test_a_head_has_a_name_of_its_own(head):
    node = "{_target_: builtins.dict}"
    config = configure(f"+task.heads.{head}=2", f"+task.targets.{head}={node}", f"+task.objective.{head}={node}")
    with pytest.raises(UserError, match=rf"task\.heads\.{head}: must be letters, digits and _, and none of image"):
        schema.check(config)


@pytest.mark.parametrize("override", ["data.batch_size=0", "data.patch_size=[0,4]", "seed=-1"])
def test_impossible_sizes_are_named(override):
    with pytest.raises(UserError, match=override.partition("=")[0]):
        schema.check(configure(override))


def test_an_unknown_key_of_a_file_is_named_with_the_nearest():
    reference = configure()
    config = configure("+trainer.max_stepps=3")
    with pytest.raises(UserError, match=r"experiment=x: trainer\.max_stepps.*did you mean trainer\.max_steps"):
        schema.check_keys(config, reference, set(), "experiment=x")
    schema.check_keys(config, reference, {"trainer.max_stepps"}, "experiment=x")


def test_keys_below_an_open_node_are_free():
    config = configure("+trainer.lightning.accumulate_grad_batches=2", "+model.anything=1")
    schema.check_keys(config, configure(), set(), "experiment=x")


def test_an_argument_that_a_class_does_not_take_is_named():
    with pytest.raises(UserError, match=r"model\.chanels.*did you mean model\.channels"):
        schema.check_targets(configure("+model.chanels=[4,8]"))


def test_a_class_that_cannot_be_imported_is_named():
    with pytest.raises(UserError, match=r"optimizer\._target_=torch\.optim\.Adamm"):
        schema.check_targets(configure("optimizer._target_=torch.optim.Adamm"))
    with pytest.raises(UserError, match=r"model\.net\._target_ is not set"):
        schema.check_targets(configure("model=external"))


def test_a_value_that_a_class_refuses_is_one_line():
    config = configure("inference.overlap=1.5")
    with pytest.raises(UserError, match=r"overlap=1\.5") as caught:
        build(config.inference, "inference")
    assert "\n" not in str(caught.value)


def test_build_passes_objects_as_they_are():
    sentinel = object()
    node = OmegaConf.create({"_target_": "builtins.dict", "a": [1, 2]})
    assert build(node, "node", b=sentinel) == {"a": [1, 2], "b": sentinel}


@pytest.mark.parametrize("experiment", ["wbc", "isbi2012", "demo"])
def test_the_written_configuration_is_omegaconfs(experiment):
    config = configure(f"experiment={experiment}")
    assert as_yaml(config) == OmegaConf.to_yaml(config, resolve=True)


def test_text_that_looks_like_something_else_stays_text():
    values = {"a": "1e-3", "b": "on", "c": "null", "d": "ä", "e": "a: b", "f": "7", "g": "", "h": "two words " * 30,
              "i": 0.1, "j": None, "k": [1, [2.5, "3"]], "l": {"m": True}, "n": "x\ny", "o": "${p}",
              "p": "#1"}  # fmt: skip
    written = as_yaml(OmegaConf.create(values))
    assert OmegaConf.to_container(OmegaConf.create(written)) == values | {"o": "#1"}
    assert written == OmegaConf.to_yaml(OmegaConf.create(values), resolve=True)


def test_functions_are_called_without_detours():
    """Hydra's own kind of partial function checks its target at every call."""
    built = build(configure("metrics=standard").metrics.classes, "metrics.classes")
    assert {type(metric) for metric in built.values()} == {partial}
