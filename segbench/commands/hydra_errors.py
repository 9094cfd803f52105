"""One line for what Hydra and OmegaConf say in many."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from segbench.config.composing import NotComposedError
from segbench.config.paths import conf_folder

_NO_OPTION = re.compile(
    r"Could not find '(?P<group>[\w/]+)/(?P<option>[^']+)' Available options in '[^']+': "
    r"(?P<known>.*?)(?: Config search path| Did you mean|$)"
)
_RESOLVING = re.compile(r"UserError raised while resolving interpolation: (?P<told>.*?)(?: full_key: .*)?$")
_NO_KEY = re.compile(r"Could not override '(?P<key>[^']+)'")
_MERGING = re.compile(r"Error merging override (?P<override>.*)")
_SEVERAL = re.compile(r"Ambiguous value for argument '(?P<key>[^=]+)=(?P<values>[^']+)'")


def explain(error: BaseException, command: str, arguments: Sequence[str] = ()) -> str:
    """Return in one line what is wrong, where, and what would be right.

    Args:
        error: what stopped the command.
        command: its name, which is also its configuration's.
        arguments: of the command, as typed.
    """
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if match := _RESOLVING.search(text):
        return match["told"]
    if match := _NO_OPTION.search(text):
        known = match["known"].split()
        return f"{match['group']}={match['option']}: there is no such option{_nearest(match['option'], known)}"
    if match := _NO_KEY.search(text):
        run = error.overrides if isinstance(error, NotComposedError) else None
        chosen = _chosen(arguments if run is None else run)
        keys = [key for key in _keys(command, chosen) if not key.rpartition(".")[2].startswith("_")]
        swept = [argument for argument in chosen if argument not in arguments]
        where = f" with {' '.join(swept)}" if swept else ""
        owner = _owner(match["key"], command, arguments, swept)
        nearest = f", only with {owner}" if owner else _nearest(match["key"], keys, listing=False)
        return f"{match['key']}: there is no such key{where}{nearest} (a new key is added by +{match['key']}=..)"
    if match := _SEVERAL.search(text):
        key, values = match["key"], match["values"]
        return f"{key}={values}: several values need -m, a run for each of them; a list is written {key}=[{values}]"
    if match := _MERGING.search(text):
        return f"{match['override']}: a list, a single value and keys with values do not stand for each other"
    return text


def _unreadable(override: str) -> str:
    """The mistake in an override that Hydra cannot parse, and the way to write it."""
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]{0,2}[\w./@-]+", key, re.ASCII):
        return f"{override}: is not read: an option is written key=value, without blanks around ="
    plain = value.strip("'\"").replace("'", "\\'")
    return (
        f"{override}: the value is not read: texts with signs other than letters, digits and . _ - / are quoted twice,"
        f" for the shell and for Hydra: \"{key}='{plain}'\"; lists are written {key}=[a,b]"
    )


def _nearest(word: str, known: list[str], listing: bool = True) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if not close:
        # A right name in the wrong place: max_steps for trainer.max_steps.
        close = [key for key in known if key.rpartition(".")[2] == word.rpartition(".")[2]][:1]
    mean = f"; did you mean {close[0]}?" if close else ""
    if not listing or not known:
        return mean
    return f"{mean} There are {', '.join(known)}" if mean else f"; there are {', '.join(known)}"


def _chosen(arguments: Sequence[str]) -> list[str]:
    """The arguments that choose an option, such as model=unet."""
    return [
        argument
        for argument in arguments
        if "," not in argument and (conf_folder() / argument.partition("=")[0]).is_dir()
    ]


def _owner(key: str, command: str, arguments: Sequence[str], swept: Sequence[str]) -> str | None:
    """The option of the same sweep that has a key, None if there is none.

    Args:
        key: dotted.
        command: its name.
        arguments: as typed, such as `model=unet,fcn8s`.
        swept: the options of the run that lacks the key, such as `model=fcn8s`.
    """
    for option in swept:
        group = option.partition("=")[0]
        lists = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{group}=")]
        for other in ",".join(lists).split(","):
            if f"{group}={other}" != option and key in _keys(command, [f"{group}={other}"]):
                return f"{group}={other}"
    return None


def _keys(command: str, chosen: list[str]) -> Iterator[str]:
    """Every key of the command's configuration with the chosen options."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        try:
            config = compose(config_name=command, overrides=chosen)
        except (HydraException, OmegaConfBaseException):  # an option of a folder that only the command line names
            config = compose(config_name=command)
    yield from _flat(config, "")


def _flat(config: DictConfig, prefix: str) -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            yield from _flat(node, f"{prefix}{key}.")
