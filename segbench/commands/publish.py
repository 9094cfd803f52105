"""The command `publish`: the upload to W&B of a sweep's runs that are not there yet, and of their comparison."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from segbench.config.schema import require
from segbench.errors import UserError, as_line
from segbench.runs.directory import RunDirectory
from segbench.runs.discovery import find_runs
from segbench.runs.uploads import CONTENT, Destination, Found, Item, digest, find, read_note, write_note
from segbench.system.lock import FileLock

if TYPE_CHECKING:
    from segbench.loggers.wandb_upload import Limits, Project

PROJECT = "segbench"


def publish(config: DictConfig, console: Console | None = None) -> None:
    """Upload what is not on W&B yet; see conf/publish.yaml.

    Raises:
        UserError: where W&B cannot be reached or takes no key, and at the end where something was not uploaded.
    """
    console = console or Console()
    places = require(config, "runs")
    wish = Destination(config.project, config.entity, config.group)
    found = find(find_runs(list(places) if isinstance(places, ListConfig) else str(places)), wish, bool(config.again))
    _say(console, [*found.left, *found.wrong])
    items = [*found.runs, *found.comparisons]
    uploaded = _upload_all(items, wish, config, found, console) if items else 0
    counts = {"uploaded": uploaded, "already there": found.there, "left for later": len(found.left)}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing"
    console.print(f"W&B: {told}", highlight=False, soft_wrap=True)
    if found.wrong:
        raise UserError(f"{len(found.wrong)} could not be uploaded, as said above; the same command tries again")


def _place(item: Item, wish: Destination) -> Project:
    """The project that an item is uploaded to: as wished, else as its own configuration says."""
    from segbench.loggers.wandb_upload import Project

    own = (item.config.get("logger") or {}).get("wandb") or {}
    return Project(
        project=wish.project or own.get("project") or PROJECT,
        entity=wish.entity or own.get("entity"),
        group=wish.group or own.get("group") or item.path.absolute().parent.name,
    )


def _upload_all(items: Sequence[Item], wish: Destination, config: DictConfig, found: Found, console: Console) -> int:
    """Upload the items; return how many are on the server now, and add to `found` what could not be uploaded."""
    from segbench.loggers import wandb_access
    from segbench.loggers.wandb_upload import Limits

    limits = Limits(config.start_timeout, config.close_timeout)
    if not wandb_access.reachable(limits.start):
        server = wandb_access.server_address()
        raise UserError(f"{server} cannot be reached within {limits.start:g} s: nothing was uploaded")
    items = _leave_complete(items, wish, limits, found)
    pool = ThreadPoolExecutor(max(1, config.at_once))
    running = [pool.submit(_upload, item, wish, limits) for item in items]
    problems: list[str | None] = []
    try:
        with _progress(console, len(items)) as advance:
            for future in as_completed(running):
                problems.append(future.result())
                advance()
                if problems[-1] is not None:
                    _say(console, problems[-1:])
                    if not wandb_access.reachable_still(limits.start):
                        break
    finally:
        pool.shutdown(cancel_futures=True)  # waits for the uploads under way
    missed = sum(future.cancelled() for future in running)
    if missed:
        problems.append(f"W&B is not there any more: {missed} more are left")
        _say(console, problems[-1:])
    for problem in filter(None, problems):
        (found.left if problem.endswith(GOING_ON) else found.wrong).append(problem)
    return problems.count(None)


GOING_ON = "is going on; publish it when it has ended"


def _leave_complete(items: Sequence[Item], wish: Destination, limits: Limits, found: Found) -> list[Item]:
    """Leave out runs that the server has, such as runs recorded online: it is asked once for a hundred of them."""
    import wandb

    from segbench.loggers.wandb_upload import expected_lines, states

    asked: dict[Project, list[Item]] = {}
    for item in items:
        if not item.seen and item.record.get("wandb_url"):
            asked.setdefault(_place(item, Destination(wish.project, wish.entity)), []).append(item)
    complete = set()
    for place, group in asked.items():
        try:
            known = states(place, [item.record["wandb_id"] for item in group], limits.start)
        except wandb.errors.Error:  # each is asked for again before it is uploaded
            continue
        for item in group:
            state, lines = known.get(item.record["wandb_id"], ("", 0))
            if state == "finished" and lines >= expected_lines(item.path, item.record):
                complete.add(item.path)
                _note(item, wish, item.record["wandb_url"], item.record["wandb_id"])
    found.there += len(complete)
    return [item for item in items if item.path not in complete]


def _upload(item: Item, wish: Destination, limits: Limits) -> str | None:
    """Upload one item; return what hinders it, or None."""
    lock = FileLock(item.path / ".lock")
    try:
        if item.record and lock.acquire() is not None:
            return f"{item.path}: {GOING_ON}"
        return _upload_locked(item, wish, limits)
    except Exception as error:  # whatever W&B stumbles over, the others are uploaded
        return f"{item.path}: {as_line(error)}"
    finally:
        lock.release()


def _upload_locked(item: Item, wish: Destination, limits: Limits) -> str | None:
    from segbench.loggers.wandb_upload import confirm, expected_lines, upload_comparison, upload_run

    place = _place(item, wish)
    if not item.record:
        run_id = read_note(item.note).get("run") or secrets.token_hex(8)
        _note(replace(item, content=""), wish, None, run_id)  # so that what breaks off is continued
        _note(item, wish, upload_comparison(item.path, run_id, place, limits).url, run_id)
        return None
    directory = RunDirectory(item.path)
    if digest(directory.record["status"], [item.path / name for name in CONTENT]) != item.content:
        return f"{item.path}: has changed meanwhile; the same command uploads it"
    run = upload_run(item.path, directory.record, item.config, place, limits)
    done = directory.record["status"] in ("finished", "pruned")
    state, lines = "finished" if done else "failed", expected_lines(item.path, directory.record)
    if not confirm(place, run.id, lines, state, limits.start):
        return f"{item.path}: W&B does not confirm that it has all of it"
    if directory.finished and run.url:
        directory.update(wandb_url=run.url)
    _note(item, wish, run.url or "", run.id)
    return None


def _note(item: Item, wish: Destination, address: str | None, run: str) -> None:
    from segbench.loggers import wandb_access

    write_note(item.note, item.content, wish, wandb_access.server_address(), address or "", run)


def _say(console: Console, lines: Iterable[str | None]) -> None:
    for line in filter(None, lines):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    columns = (TextColumn("uploading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
