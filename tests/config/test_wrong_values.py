"""Impossible values on the command line: one line that names the key, exit code 2, and nothing left behind."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter

from segbench.commands.execution import report
from segbench.commands.hydra_errors import explain
from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import PinnedLoader, pinned, referred_to
from segbench.config.identity import run_id
from segbench.config.keys import KEYS
from segbench.config.paths import conf_folder
from segbench.config.schema import check_composed
from segbench.config.values import described_nodes
from segbench.errors import UserError
from tests.made_runs import configure

WRONG = {
    "trainer.max_steps": ("abc", "2.5", "-5", "0", "null", "'4'"),
    "trainer.checkpoint_every": ("0", "x"),
    "trainer.validate_every": ("0", "-1", "1.5"),
    "trainer.log_every": ("0",),
    "trainer.gap_cases": ("-3",),
    "trainer.gradient_clip": ("-1", "0", "inf"),
    "trainer.precision": ("64", "bf17"),
    "trainer.devices": ("0", "[0,0]", "1.5"),
    "data.batch_size": ("two", "1.5", "0", "true"),
    "data.workers": ("-1", "many"),
    "data.patch_size": ("32", "[a,b]", "[32,32.5]", "[0,8]", "[]", "[8,8,8,8]"),
    "data.foreground": ("3", "-0.1"),
    "data.normalize": ("zscores",),
    "fold": ("abc", "-1", "5"),
    "folds": ("0",),
    "seed": ("abc", "null", "-1", "4294967296"),
    "name": ("../../x",),
    "split.seed": ("x",),
    "inference.window": ("[0,0]",),
    "inference.overlap": ("1", "-0.1"),
    "inference.batch_size": ("0",),
    "augmentation.spatial.rotation": ("abc",),
    "augmentation.spatial.scaling": ("[0,1]", "[2,1]", "[1]"),
    "augmentation.spatial.flip": ("2", "[0.5,2]"),
    "augmentation.intensity.noise.probability": ("1.5",),
    "augmentation.intensity.noise.variance": ("[0.1,0]",),
    "optimizer.lr": ("-1", "abc", "nan", "1e30"),
    "optimizer.betas": ("[0.9,1]", "[0.9]"),
    "model.channels": ("[0,0]", "[4,-8]", "[]", "8"),
    "model.norm": ("bach",),
    "loss.terms.dice.weight": ("-1",),
    "loss.terms.dice.loss.smooth_nr": ("-1",),
    "metrics.empty_distance": ("-1", "far"),
    "data.dataset.size": ("[256]",),
    "predictions": ("yess", "1"),
    "decoder.connectivity": ("true", "4", "1.5"),
}
OF_FOLDERS = {
    "data.dataset.spacing": ("[0,0]", "[1]"),
    "data.dataset.classes": ("[a,a]", "[0,1]", "[]", f"[{','.join(f'c{number}' for number in range(256))}]"),
    "data.dataset.name": ("'../../evil'",),
    "data.dataset.spatial_dims": ("4",),
    "data.root": ("2024",),
    "data.dataset.background": ("5", "2", "-1"),
}
OF_COMMANDS = {
    "compare": (
        "scores=x confidence=1", "scores=x bootstraps=-1", "scores=x ranking=best", "scores=x cuts=[0.1,x]",
        "scores=x better=up", "runs=[] ", "scores=x strict=maybe", "scores=x wandb.mode=on", "scores=x ties=first",
        "scores=x relevant=0",
    ),
    "power": ("runs=r difference=0", "runs=r difference=1 seeds=[0]", "runs=r difference=1 power=1"),
    "predict": ("run=r input=i output=o accelerator=tpu", "run=r input=i output=o trust=mine", "run=1 input=i"),
    "evaluate": (
        "run=r background=-1", "prediction=p reference=r spacing=[0,1]", "run=r masks_are=both",
        "prediction=p reference=r classes=[a,b] background=2",
    ),
    "status": ("runs=r all=x", "runs=[]"),
    "publish": ("runs=r at_once=0", "runs=r start_timeout=-1"),
    "prepare": ("data.cache=null", "data.dataset.cases=0"),
    "export": ("output=o folds=0", "output=o split.method=best"),
}  # fmt: skip


@cache
def _loader() -> Any:
    """A loader that reads each file once."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return pinned(HydraContext(GlobalHydra.instance().config_loader(), Callbacks())).config_loader


def composed(command: str, arguments: Sequence[str]) -> Any:
    return _loader().load_configuration(command, [*arguments, "hydra.run.dir=run"], RunMode.RUN)


def _check(command: str, arguments: Sequence[str]) -> None:
    config = composed(command, arguments)
    with referred_to(config):
        check_composed(config, command)


def line(command: str, arguments: Sequence[str]) -> str:
    """The line with which a command would be refused."""
    with pytest.raises((UserError, HydraException, OmegaConfBaseException)) as caught:
        _check(command, arguments)
    message = explain(caught.value, command, arguments)
    assert "\n" not in message
    return f"segbench: {message}\n"


def refused(command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which a command is refused; nothing may be left where it was called."""
    before = sorted(Path.cwd().rglob("*"))
    GlobalHydra.instance().clear()
    code = report(command, arguments)
    out, message = capsys.readouterr()
    assert (code, out) == (2, ""), arguments
    assert message.startswith("segbench: "), message
    assert message.count("\n") == 1, message
    assert sorted(Path.cwd().rglob("*")) == before
    return message


@pytest.fixture
def reading_each_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands compose in a fifth of the time."""
    loaders: list[PinnedLoader] = []

    def make(config_search_path: ConfigSearchPath) -> PinnedLoader:
        if not loaders:
            loaders.append(PinnedLoader(config_search_path))
        return loaders[0]

    monkeypatch.setattr("segbench.commands.execution.SweepLoader", make)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segbench.commands.train.train", _accepted)


def _accepted(config: Any) -> None:
    raise AssertionError(f"accepted: {OmegaConf.to_container(hydra.core.hydra_config.HydraConfig.get().overrides)}")


@pytest.mark.parametrize("key", WRONG)
def test_of_a_run(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    messages = [refused("train", [f"{key}={WRONG[key][0]}", "hydra.run.dir=run"], capsys)]
    for message in [*messages, *(line("train", [f"{key}={value}"]) for value in WRONG[key])]:
        assert message.startswith(f"segbench: {key}="), message
        assert "must " in message


@pytest.mark.parametrize("key", OF_FOLDERS)
def test_of_ones_own_data(key: str) -> None:
    for value in OF_FOLDERS[key]:
        assert line("train", ["data=folder", f"{key}={value}"]).startswith(f"segbench: {key}=")


@pytest.mark.parametrize("command", OF_COMMANDS)
def test_of_another_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [texts.split() for texts in OF_COMMANDS[command]]
    for message in [refused(command, arguments[0], capsys), *(line(command, each) for each in arguments)]:
        assert "must " in message


def test_in_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, key in (
        (["optimizer.lr=0.1,-1", "-m"], "optimizer.lr=-1:"),
        (["seed=1,2", "data.batch_size=0", "-m"], "data.batch_size=0:"),
        (["seed=1,2", "hydra/launcher=local", "hydra.launcher.at_once=0", "-m"], "hydra.launcher.at_once=0:"),
        (["seed=1,2", "hydra/sweeper=optuna", "hydra.sweeper.trials=x", "-m"], "hydra.sweeper.trials=x:"),
        (["seed=1,2", "hydra/sweeper=race", "hydra.sweeper.certainty=2", "-m"], "hydra.sweeper.certainty=2:"),
    ):
        assert key in refused("train", arguments, capsys)


def test_a_run_directory_that_no_file_system_can_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be written: File name too long" in refused("train", [f"hydra.run.dir={'a' * 300}"], capsys)


def test_a_key_that_nothing_reads(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused("train", ["+trainer.max_step=3"], capsys)
    assert "did you mean trainer.max_steps?" in message


def test_options_that_are_no_names() -> None:
    for arguments in (["data=3"], ["trainer=[1,2]"], ["callbacks=[early_stopping,7]"], ["model=0.5"]):
        assert f"{arguments[0]}: must be the name of an option; known are " in line("train", arguments)


def test_what_cannot_be_merged() -> None:
    assert "data.input_arrays={a:1}: a list" in line("train", ["data.input_arrays={a:1}"])


def test_the_key_that_is_set_is_named_and_not_what_refers_to_it() -> None:
    """`scheduler.total_iters` and `inference.window` refer to others."""
    assert "trainer.max_steps=x" in line("train", ["trainer.max_steps=x"])
    assert "data.patch_size=8" in line("train", ["data.patch_size=8"])


def test_what_a_class_of_ones_own_takes_is_free() -> None:
    config = configure("model._target_=my_package.Net", "+model.depth=-3", "model.channels=a", "+mine.lr=x")
    check_composed(config, "train")


def test_text_and_numbers_that_yaml_has_taken_for_the_other() -> None:
    assert """(in quotes: "'2024'")""" in line("train", ["data=folder", "data.root=2024"])
    assert "without quotes" in line("train", ["data.batch_size='4'"])


def test_numbers_of_the_environment_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE", "0.02")
    monkeypatch.setenv("SIZE", "48")
    monkeypatch.setenv("WORD", "many")
    config = configure(
        "optimizer.lr=${oc.env:RATE}", "data.patch_size=[${oc.env:SIZE},64]", "trainer.max_steps=${oc.env:STEPS,7}",
        "name=${oc.env:SIZE}",
    )  # fmt: skip
    check_composed(config, "train")
    assert (config.optimizer.lr, list(config.data.patch_size), config.trainer.max_steps) == (0.02, [48, 64], 7)
    assert config.scheduler.total_iters == 7  # it refers to trainer.max_steps
    assert config.name == "48"
    assert run_id(config) == run_id(configure("optimizer.lr=0.02", "data.patch_size=[48,64]", "trainer.max_steps=7"))
    assert "optimizer.lr=many" in line("train", ["optimizer.lr=${oc.env:WORD}"])
    assert "data.batch_size='0.02'" in line("train", ["data.batch_size=${oc.env:RATE}"])


# -- any key, any wrong value ------------------------------------------------------------------------------------


OPTIONS = (
    "model=unet", "model=segnet", "model=context_f", "model=kmeans", "model=random_forest", "model=fcn8s",
    "model=residual_unet", "model=region_growing", "loss=focal", "loss=tversky", "loss=dice_focal", "loss=log_dice",
    "optimizer=sgd", "optimizer=adam_then_sgd", "scheduler=warmup", "augmentation=standard", "augmentation=histology",
    "augmentation=elastic_simard", "inference=overlap_tile", "inference=dense_patches", "decoder=crf",
    "decoder=watershed", "task=border_weighted", "data=folder", "data=synthetic_tissue", "metrics=pass_fail",
    "callbacks=early_stopping", "logger=wandb",
)  # fmt: skip


@cache
def keys_of(option: str) -> list[tuple[str, Any]]:
    """Each typed key that can be set with an option, and its schema."""
    config = composed("train", [option])
    with referred_to(config):
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        plain = OmegaConf.to_container(own, resolve=True)
    return [
        (f"{path}{key}", TypeAdapter(KEYS[where][key]).json_schema())
        for path, where, node in described_nodes(plain, "train")
        for key in node
        if "[" not in path and key in KEYS[where] and _is_value(config, f"{path}{key}")
    ]


def _is_value(config: Any, path: str) -> bool:
    """Return whether a key has a value of its own: no node, and not what another key refers to."""
    node = config
    for key in path.split("."):
        node = node._get_node(key)
        if node is None or node._is_interpolation():
            return False
    return not isinstance(node._value(), dict) and path.partition(".")[0] != "measured"


@st.composite
def wrong(draw: st.DrawFn) -> tuple[str, str, str]:
    """An option, a key that it has, and a value that the key forbids, as it is typed."""
    option = draw(st.sampled_from(OPTIONS))
    key, schema = draw(st.sampled_from(keys_of(option)))
    kinds = schema.get("anyOf", [schema])
    types = {kind.get("type") for kind in kinds}
    words = any("enum" in kind or "const" in kind for kind in kinds)
    assume(None not in types and not types >= {"string", "number"})
    values = []
    if "string" not in types or words:
        values += [
            st.sampled_from(["wrong", "'a b'", "'7'", "'-'"]),
            st.from_regex("[a-z]{3}_[a-z]{4,20}", fullmatch=True),
        ]
    values += [st.just(typed) for kind, typed in OTHERS.items() if kind not in types]
    numbers = [kind for kind in kinds if kind.get("type") in ("integer", "number")]
    if not numbers and not words:
        values.append(st.integers() | st.floats().map(str))
    if len(numbers) == 1 and not words:
        values.append(outside(numbers[0]))
    if len(kinds) == 1 and "array" in types:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 9)
        lengths = [length for length in range(most + 3) if not least <= length <= most and length != 1]
        values += [st.sampled_from([[1] * length for length in lengths])] if lengths and most < 9 else []
        elements = ["null", "{a:1}"] if "string" in str(schema["items"]) else ["x", "null", "{a:1}"]
        values.append(st.lists(st.sampled_from(elements), min_size=max(1, least), max_size=most))
    value = draw(st.one_of(values))
    return option, key, str(value).replace("'", "").replace(" ", "") if isinstance(value, list) else str(value)


OTHERS = {"null": "null", "boolean": "true", "array": "[1,x]", "object": "{a:1}"}


def outside(kind: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Numbers out of the range of a kind, and what is no number."""
    values: list[Any] = [st.sampled_from(["nan", "inf", "-inf"])]
    if kind["type"] == "integer":
        values.append(st.floats(-1e6, 1e6).filter(lambda value: value != round(value)))
    for limit, beyond in (("minimum", 1), ("exclusiveMinimum", 0)):
        if limit in kind:
            values.append(st.integers(max_value=math.floor(kind[limit]) - beyond))
            values.append(st.floats(max_value=kind[limit], exclude_max=bool(beyond), allow_nan=False).map(repr))
    for limit, beyond in (("maximum", 1), ("exclusiveMaximum", 0)):
        if limit in kind:
            values.append(st.integers(min_value=math.ceil(kind[limit]) + beyond))
            values.append(st.floats(min_value=kind[limit], exclude_min=bool(beyond), allow_nan=False).map(repr))
    return st.one_of(values)


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)


@settings(QUIET, max_examples=100)
@given(wrong())
def test_any_wrong_value_is_refused(drawn: tuple[str, str, str]) -> None:
    option, key, value = drawn
    assert key.rpartition(".")[2] in line("train", [option, f"{key}={value}"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("reading_each_file_once")
@settings(QUIET, max_examples=1000)
@given(wrong())
def test_a_thousand_wrong_values_are_a_thousand_lines(
    capsys: pytest.CaptureFixture[str], drawn: tuple[str, str, str]
) -> None:
    option, key, value = drawn
    assert key.rpartition(".")[2] in refused("train", [option, f"{key}={value}", "hydra.run.dir=run"], capsys)
