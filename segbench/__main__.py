"""The commands: `segbench [train] key=value ..`, and those that `COMMANDS` lists."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from segbench.errors import Stopped, UserError
from segbench.explain import explain
from segbench.identity import register_resolvers
from segbench.paths import conf_folder
from segbench.processes import is_main_process
from segbench.sweeps.compose import SweepLoader

USER_ERROR = 2
"""Exit code for what the user can mend."""


def train(config: DictConfig) -> None:
    """Trains and evaluates one run; in a sweep a failed run does not stop the others."""
    from segbench.train import train

    train(config)


def predict(config: DictConfig) -> None:
    """Predicts images with a finished run."""
    from segbench.predict import predict

    predict(config)


def evaluate(config: DictConfig) -> None:
    """Scores a run again, on its own test cases or on another data set, or two folders of masks."""
    from segbench.evaluate import evaluate

    evaluate(config)


def prepare(config: DictConfig) -> None:
    """Says where a data set is to be had, checks what is there, and decodes it."""
    from segbench.prepare import prepare

    prepare(config)


def compare(config: DictConfig) -> None:
    """Ranks runs."""
    from segbench.compare.command import compare

    compare(config)


def status(config: DictConfig) -> None:
    """Says what the runs of a sweep are doing."""
    from segbench.status import status

    status(config)


def publish(config: DictConfig) -> None:
    """Uploads to W&B the runs of a sweep that are not there yet."""
    from segbench.publish import publish

    publish(config)


UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT)
"""What Hydra meets when it makes the run directory where none can be."""

COMMANDS: dict[str, Callable[[DictConfig], None]] = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "prepare": prepare,
    "compare": compare,
    "status": status,
    "publish": publish,
}


def main() -> None:
    """Runs the command that the first argument names, `train` if it names none."""
    if os.getcwd() not in sys.path:
        # As `python -m` does: a `_target_` may be a file of the user's own. Jobs on a cluster ask for a safe path,
        # so that a checkout in the current folder does not come before the code that was submitted.
        sys.path.insert(len(sys.path) if sys.flags.safe_path else 0, os.getcwd())
    arguments = sys.argv[1:]
    command = "train"
    if arguments and not arguments[0].startswith(("-", "+", "~")) and "=" not in arguments[0]:
        command, arguments = arguments[0], arguments[1:]
    sys.exit(report(command, arguments))


def report(command: str, arguments: list[str]) -> int:
    """Executes a command and returns its exit code; what the user can mend is said in one line."""
    full_error, typed = os.environ.get("HYDRA_FULL_ERROR", ""), sys.argv
    wants_trace = bool(full_error)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing, and this function prints
    try:
        return _run(command, arguments)
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
    finally:
        os.environ["HYDRA_FULL_ERROR"], sys.argv = full_error, typed


def _run(command: str, arguments: list[str]) -> int:
    if command not in COMMANDS:
        raise UserError(f"there is no command {command!r}: use one of {', '.join(COMMANDS)}; options are key=value")
    register_resolvers()
    _replace_basic_launcher()
    vars(hydra._internal.hydra)["ConfigLoaderImpl"] = SweepLoader  # Hydra has no way to be given one
    # Flags first: argparse does not take overrides on both sides of a flag.
    sys.argv = [sys.argv[0], *sorted(arguments, key=_is_override)]
    wrapped: Any = hydra.main(config_path=str(conf_folder()), config_name=command, version_base="1.3")
    task = Task(command)
    wrapped(task)()
    if task.failures:
        raise task.failures[-1]
    return 0


def _replace_basic_launcher() -> None:
    """Gives Hydra's default launcher what the others here have; Hydra allows no file of that name.

    Only in this command: other programs of the same environment keep theirs.
    """
    Plugins.instance()  # registers Hydra's own
    node = {"_target_": "hydra_plugins.segbench.Basic", "retries": 0}
    ConfigStore.instance().store(group="hydra/launcher", name="basic", node=node, provider="segbench")


class Task:
    """What Hydra calls for each run: a failed one does not end a sweep.

    Attributes:
        failures: of the command, and what a launcher tells of the runs of a sweep.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.failures: list[Exception] = []

    def __call__(self, config: DictConfig) -> None:
        """Executes the command. Hydra would print the overrides of a failed job, and end a sweep at its first.

        What fails in a sweep is printed; its launcher, which may try it again, tells what has failed in the end.
        """
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            COMMANDS[self.command](config)
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


if __name__ == "__main__":
    main()
