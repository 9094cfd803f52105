"""The promises of a version of segbench to its recorded runs: keys, arguments, and the id of each option.

`python -m tests.config.interface > tests/config/recorded/VERSION/interface.json` records it when a version is made.
"""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import pinned, referred_to
from segbench.config.identity import run_id
from segbench.config.paths import conf_folder


def all_options() -> list[str]:
    """Every option of a run, such as model=unet, in order."""
    conf = conf_folder()
    groups = [path for path in sorted(conf.iterdir()) if path.is_dir() and path.name not in ("hydra", "local")]
    return [f"{group.name}={path.stem}" for group in groups for path in sorted(group.glob("*.yaml"))]


def compositions(options: Iterable[str]) -> Iterator[tuple[str, DictConfig]]:
    """Options that can be composed alone, each with the configuration of a run that chooses it."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = pinned(HydraContext(GlobalHydra.instance().config_loader(), Callbacks())).config_loader
    for option in options:
        config = loader.load_configuration("train", [option, "hydra.run.dir=run"], RunMode.RUN)
        with referred_to(config):
            own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
            try:
                OmegaConf.to_container(own, resolve=True)
            except OmegaConfBaseException:  # it asks for a value, such as a file
                continue
            yield option, own


def keys(node: Any, path: str = "") -> Iterator[str]:
    """The dotted keys of plain values, without arguments of classes and functions."""
    for key, value in node.items():
        yield f"{path}{key}"
        if isinstance(value, Mapping) and "_target_" not in value:
            yield from keys(value, f"{path}{key}.")


def arguments() -> dict[str, list[str]]:
    """The arguments of every class and function of ours that a `_target_` of conf/ names."""
    text = "\n".join(path.read_text() for path in sorted(conf_folder().rglob("*.yaml")))
    names = sorted(set(re.findall(r"_target_: (segbench\.[\w.]+)", text)))
    return {name: list(inspect.signature(get_object(name)).parameters) for name in names}


def interface() -> dict[str, Any]:
    """Return the keys of a run, the arguments of classes, and the id that each option has alone."""
    ids, whole = {}, {}
    for option, config in compositions(all_options()):
        ids[option] = run_id(config)
        whole |= dict.fromkeys(keys(OmegaConf.to_container(config, resolve=True)))
    return {"keys": sorted(whole), "arguments": arguments(), "ids": ids}


def as_text(interface: Mapping[str, Any]) -> str:
    """JSON with a line for each argument list and id."""
    keys = json.dumps(interface["keys"])
    tables = [
        f'"{name}": {{\n' + ",\n".join(f' "{key}": {json.dumps(value)}' for key, value in table.items()) + "\n}"
        for name, table in interface.items()
        if name != "keys"
    ]
    return "{\n" + ",\n".join([f'"keys": {keys}', *tables]) + "\n}"


if __name__ == "__main__":
    print(as_text(interface()))
