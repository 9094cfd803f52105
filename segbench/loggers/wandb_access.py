"""W&B's server: whether it can be reached and takes the key, asked before anything is written; and W&B's settings."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from segbench.errors import UserError, as_line

if TYPE_CHECKING:
    import wandb

MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}
"""The words that WANDB_MODE and `logger.wandb.mode` may be, and what they mean."""

REFUSED = (401, 403)
"""HTTP status of a key that W&B does not take."""

ASKED_AGAIN = 600.0
"""Seconds after which a server that could not be reached is asked once more."""

_reached: dict[str, float] = {}  # by server: until when what was found there holds; negative where it was not reached


def check(mode: str = "offline", start_timeout: float = 15.0, **others: Any) -> None:
    """Ask W&B before a run is begun whether it takes the key.

    Args:
        mode: "online", "offline" or "disabled".
        start_timeout: seconds to wait for W&B.
        others: the other values of the configuration.

    Raises:
        UserError: where there is no key, or W&B refuses it.
    """
    if mode_of(mode) == "online":
        reachable(start_timeout)


def mode_of(mode: str) -> str:
    """The mode of a run: "online", "offline" or "disabled"; the environment variable WANDB_MODE goes first.

    Raises:
        UserError: where it is another word.
    """
    asked, where = os.environ.get("WANDB_MODE"), "WANDB_MODE"
    if not asked:
        asked, where = mode, "logger.wandb.mode"
    if asked not in MODES:
        raise UserError(f"{where}={asked}: must be online, offline or disabled")
    return MODES[asked]


def reachable(timeout: float) -> bool:
    """Return whether W&B can be reached and takes the key. The server is asked once in a process, not once a run.

    Args:
        timeout: seconds to wait for an answer.

    Raises:
        UserError: where there is no key, or W&B refuses it.
    """
    import wandb

    try:
        server = server_address()
        until = _reached.get(server, 0.0)
        if abs(until) > time.monotonic():
            return until > 0
        if not wandb.login(prompt=False, verify=False):
            raise UserError(
                f"logger.wandb.mode=online: there is no key for {server}; run `wandb login`, set WANDB_API_KEY,"
                " or say logger.wandb.mode=offline"
            )
    except wandb.errors.Error as error:
        _check_refused(error)
        return False
    return reachable_still(timeout)


def reachable_still(timeout: float) -> bool:
    """Ask the server anew, with the key that is known, whether it can be reached.

    Raises:
        UserError: where W&B refuses the key.
    """
    import wandb

    try:
        wandb.Api(timeout=max(1, math.ceil(timeout)))  # asks who the key belongs to
    except wandb.errors.Error as error:
        _check_refused(error)
        lost()
        return False
    _reached[server_address()] = math.inf
    return True


def lost() -> None:
    """Remember for a while that the server is not there: the next runs do not wait for it."""
    _reached[server_address()] = -(time.monotonic() + ASKED_AGAIN)


def server_address() -> str:
    """The address of W&B's server: WANDB_BASE_URL, else as W&B's own settings have it."""
    return str(_session().settings.base_url)


def quiet_settings(**more: Any) -> wandb.Settings:
    """Settings of a run that say nothing at the terminal, and record nothing that may hold a secret.

    W&B's metadata have the command line, the environment's SLURM variables, the user and the host; what
    made a run is in its run.json, which segbench writes.

    Args:
        more: further settings.
    """
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        label_disable=True,
        program="segbench",  # not its path
        symlink=False,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        **more,
    )


def _session() -> Any:
    """W&B's state in this process, silent, and begun once; whoever asks is about to go online."""
    import wandb

    return wandb.setup(wandb.Settings(silent=True, mode="online"))


def _check_refused(error: wandb.errors.Error) -> None:
    """Raise a UserError where the key is the reason.

    Raises:
        UserError: then.
    """
    import wandb

    status = getattr(getattr(error.__cause__, "response", None), "http_status", None)
    kinds = (wandb.errors.UsageError, wandb.errors.AuthenticationError)
    malformed = isinstance(error, kinds) and error.__cause__ is None
    if status in REFUSED or malformed:
        why = f"W&B answers with HTTP {status}" if status else as_line(error)
        raise UserError(
            f"logger.wandb.mode=online: the key is refused ({why}); check WANDB_API_KEY or run"
            " `wandb login --relogin`, or say logger.wandb.mode=offline"
        ) from None
