"""The commands: `segbench [train] key=value ..`, predict, evaluate, prepare, compare."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from segbench.errors import Stopped, UserError
from segbench.explain import explain
from segbench.identity import register_resolvers

USER_ERROR = 2
"""Exit code for what the user can mend."""


def conf_folder() -> Path:
    """The folder of the YAML files: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


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


UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT)
"""What Hydra meets when it makes the run directory where none can be."""

COMMANDS: dict[str, Callable[[DictConfig], None]] = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "prepare": prepare,
    "compare": compare,
    "status": status,
}


def main() -> None:
    """Runs the command that the first argument names, `train` if it names none."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: a `_target_` may be a file of the user's own
    arguments = sys.argv[1:]
    command = "train"
    if arguments and not arguments[0].startswith(("-", "+", "~")) and "=" not in arguments[0]:
        command, arguments = arguments[0], arguments[1:]
    sys.exit(_report(command, arguments))


def _report(command: str, arguments: list[str]) -> int:
    """The exit code; what the user can mend is said in one line."""
    wants_trace = bool(os.environ.get("HYDRA_FULL_ERROR"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing, and this function prints
    try:
        return _run(command, arguments)
    except Stopped as stop:
        print(f"segbench: {stop}", file=sys.stderr)
        return 128 + stop.number
    except KeyboardInterrupt:
        print("segbench: interrupted; the same command continues from the last checkpoint", file=sys.stderr)
        return 130
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_trace:
            raise
        print(f"segbench: {explain(error, command)}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        if wants_trace or error.errno not in UNWRITABLE:
            raise
        print(f"segbench: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return USER_ERROR


def _run(command: str, arguments: list[str]) -> int:
    if command not in COMMANDS:
        raise UserError(f"there is no command {command!r}: use one of {', '.join(COMMANDS)}; options are key=value")
    register_resolvers()
    # Flags first: argparse does not take overrides on both sides of a flag.
    sys.argv = [sys.argv[0], *sorted(arguments, key=_is_override)]
    wrapped: Any = hydra.main(config_path=str(conf_folder()), config_name=command, version_base="1.3")
    failures: list[Exception] = []

    def task(config: DictConfig) -> None:
        # Hydra would print the overrides of a failed job, and end a sweep at its first failure.
        try:
            COMMANDS[command](config)
        except (UserError, OmegaConfBaseException) as error:
            failures.append(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                print(f"segbench: this run failed: {explain(error, command)}", file=sys.stderr)
        except Exception as error:
            if HydraConfig.get().mode != RunMode.MULTIRUN:
                raise
            failures.append(error)
            print("segbench: this run failed:", file=sys.stderr)
            traceback.print_exc()

    wrapped(task)()
    if failures:
        raise failures[-1]
    return 0


def _is_override(argument: str) -> bool:
    return argument.startswith("~") or ("=" in argument and not argument.startswith("--"))


if __name__ == "__main__":
    main()
