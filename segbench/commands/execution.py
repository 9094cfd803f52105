"""The execution of a command: Hydra around it, its exit code, and one line for what the user can mend."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, run_job
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.commands.hydra_errors import explain
from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import SweepLoader, referred_to
from segbench.config.paths import conf_folder
from segbench.errors import Stopped, UserError
from segbench.system.processes import is_main_process

USER_ERROR = 2
"""Exit code for what the user can mend."""

UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG,
)  # fmt: skip
"""The errors that Hydra meets when it makes the run directory where none can be."""

COMMANDS = (
    "train", "predict", "postprocess", "evaluate", "explain", "prepare", "export", "plan", "describe", "compare",
    "power", "status", "publish", "doctor",
)  # fmt: skip
"""Each is the function of that name in `segbench.commands.<name>`, imported when it is asked for."""


def report(command: str, arguments: list[str]) -> int:
    """Execute a command and return its exit code; an error that the user can mend is printed as one line."""
    wants_trace = bool(os.environ.get("HYDRA_FULL_ERROR"))
    try:
        execute(command, arguments)
        return 0
    except Stopped as stop:
        if not is_main_process():
            return 0  # after any other code the launcher would kill the first process, which may not be done yet
        print(f"segbench: {stop}", file=sys.stderr)
        return 128 + stop.number
    except KeyboardInterrupt as stop:
        said = str(stop) or "interrupted; the same command continues from the last checkpoint"
        print(f"segbench: {said}", file=sys.stderr)
        return 130
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_trace:
            raise
        print(f"segbench: {explain(error, command, arguments)}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        if wants_trace or error.errno not in UNWRITABLE:
            raise
        where = error.filename or "the console's output, or a file in the run directory,"
        print(f"segbench: {where} cannot be written: {error.strerror}", file=sys.stderr)
        return USER_ERROR


def execute(command: str, arguments: list[str]) -> list[Any]:
    """Execute a command and return what its function returned, of a sweep in this process that of every run.

    Raises:
        UserError: as the command does. Hydra's own errors are raised, too, which it would else print.
    """
    full_error, typed = os.environ.get("HYDRA_FULL_ERROR", ""), sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        return _execute(command, arguments)
    finally:
        os.environ["HYDRA_FULL_ERROR"], sys.argv = full_error, typed


def _execute(command: str, arguments: list[str]) -> list[Any]:
    if command == "help" and [argument for argument in arguments if argument not in ("help", "--help", "-h")]:
        from segbench.commands.help import show_help

        show_help(COMMANDS, arguments)
        return []
    if command == "help":
        command, arguments = "train", ["--help"]
    if command not in COMMANDS:
        known = ", ".join([*COMMANDS, "help"])
        raise UserError(f"there is no command {command!r}: use one of {known}; options are key=value")
    register_resolvers()
    _replace_basic_launcher()
    # Hydra has no way to be given a loader, or what comes between composing and the run directory.
    vars(hydra._internal.hydra).update(ConfigLoaderImpl=SweepLoader, run_job=partial(_run_checked, command))
    # Flags first: argparse does not take overrides on both sides of a flag.
    sys.argv = [sys.argv[0], *sorted(arguments, key=_is_override)]
    wrapped: Any = hydra.main(config_path=str(conf_folder()), config_name=command, version_base="1.3")
    task = Task(command)
    wrapped(task)()
    if task.failures:
        raise task.failures[-1]
    return task.results


def _run_checked(command: str, *, config: DictConfig, **others: Any) -> JobReturn:
    """Execute a command as Hydra does, unless its configuration has an impossible value: then nothing is written.

    Folders that Hydra made for a run that was refused later do not stay, either.
    """
    from segbench.config.schema import check_composed  # not for --help

    with referred_to(config):
        check_composed(config, command)
        place = Path(OmegaConf.select(config, others["job_dir_key"])).absolute()
    new = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        return run_job(config=config, **others)
    finally:
        for folder in new:
            with suppress(OSError):  # it is not empty, or has been removed with the run
                folder.rmdir()


def _replace_basic_launcher() -> None:
    """Replace Hydra's default launcher by one that does what the others here do; Hydra allows no file of that name.

    Only in this command: other programs of the same environment keep theirs.
    """
    Plugins.instance()  # registers Hydra's own
    node = {"_target_": "hydra_plugins.segbench.Basic", "retries": 1}  # as the others
    ConfigStore.instance().store(group="hydra/launcher", name="basic", node=node, provider="segbench")


class Task:
    """The function that Hydra calls for each run: a failed run does not end a sweep.

    Attributes:
        failures: of the command, and what a launcher reports of the runs of a sweep.
        results: what the command's function has returned.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.failures: list[Exception] = []
        self.results: list[Any] = []

    def __call__(self, config: DictConfig) -> None:
        """Execute the command. Hydra would print the overrides of a failed job, and end a sweep at its first.

        A failure in a sweep is printed; its launcher, which may try it again, names the failed runs in the end.
        """
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        function = getattr(import_module(f"segbench.commands.{self.command}"), self.command)
        try:
            self.results.append(function(config))
        except (UserError, OmegaConfBaseException) as error:
            if in_sweep:
                print(f"segbench: this run failed: {explain(error, self.command)}", file=sys.stderr)
            else:
                self.failures.append(error)
        except Exception:
            if not in_sweep:
                raise
            print("segbench: this run failed:", file=sys.stderr)
            traceback.print_exc()


def _is_override(argument: str) -> bool:
    return argument.startswith("~") or ("=" in argument and not argument.startswith("--"))
