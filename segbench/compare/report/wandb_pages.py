"""Pages of W&B over comparisons: a workspace of one, one of all in a project, and a report in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segbench.errors import UserError
from segbench.runs.uploads import COMPARE_JOB

RANK_SUM = "rank_sum/"
"""Start of the summary's key of a method."""
PROJECT_WORKSPACE = "rank sums of all comparisons"


@dataclass(frozen=True)
class Text:
    """The words of a report."""

    title: str
    verdict: str
    notes: Sequence[str]


def save_workspace(place: Mapping[str, Any], tables: Sequence[str], figures: Sequence[str], name: str) -> str:
    """Save a workspace that shows the comparison of a group: tables, report and figures.

    Args:
        place: entity, project, group and mode.
        tables: names of those that were logged.
        figures: likewise.
        name: of the comparison.

    Returns:
        Its address.

    Raises:
        UserError: if the package wandb-workspaces is not installed, or W&B is used offline.
    """
    panels, workspaces = _packages(place, "workspace=true")
    shown = [panels.WeavePanelSummaryTable(table_name=table) for table in tables]
    pictures = [panels.MediaBrowser(media_keys=[figure]) for figure in figures]
    sections = [
        workspaces.Section(
            name="Comparison", panels=[*shown, panels.MediaBrowser(media_keys=["report"])], is_open=True
        ),
        workspaces.Section(name="Figures", panels=pictures, is_open=True),
    ]
    filters = [workspaces.Metric("JobType") == COMPARE_JOB]
    if place["group"]:
        filters.append(workspaces.Metric("Group") == place["group"])
    return _saved(workspaces, place, name, sections, filters)


def save_project_workspace(place: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Save a workspace over all comparisons of a project: the rank sums of each, side by side.

    Args:
        place: entity, project and mode.
        methods: of this comparison; those of the others are asked of the server.

    Returns:
        Its address.

    Raises:
        UserError: as for `save_workspace`.
    """
    panels, workspaces = _packages(place, "workspace=project")
    every = list(dict.fromkeys([*methods, *_methods_there(place)]))
    sums = panels.BarPlot(
        title="Rank sums, the smallest is best", metrics=[f"{RANK_SUM}{method}" for method in every], orientation="h"
    )
    sections = [
        workspaces.Section(
            name="Rank sums",
            panels=[sums, panels.WeavePanelSummaryTable(table_name="rank_sums"), panels.RunComparer(diff_only="split")],
            is_open=True,
        )
    ]
    return _saved(workspaces, place, PROJECT_WORKSPACE, sections, [workspaces.Metric("JobType") == COMPARE_JOB])


def save_report(place: Mapping[str, Any], run: str, text: Text, tables: Sequence[str], figures: Sequence[str]) -> str:
    """Save a W&B Report: the verdict in words, the tables, the figures, and what a reader has to know.

    Args:
        place: entity, project and mode.
        run: the id of the comparison's run.
        text: its words.
        tables: names of those that were logged.
        figures: likewise.

    Returns:
        Its address.

    Raises:
        UserError: as for `save_workspace`.
    """
    panels, workspaces = _packages(place, "report=true")
    entity = _entity(place)
    shown = [panels.WeavePanelSummaryTable(table_name=table) for table in tables]
    pictures = [panels.MediaBrowser(media_keys=[figure]) for figure in figures]
    runs = panels.Runset(
        entity=entity, project=place["project"], name=text.title, filters=[workspaces.Metric("ID") == run]
    )
    report = panels.Report(
        entity=entity,
        project=place["project"],
        title=text.title,
        description=text.verdict,
        blocks=[
            panels.H1("Verdict"),
            panels.P(text.verdict),
            panels.H1("Tables and figures"),
            panels.PanelGrid(runsets=[runs], panels=[*shown, *pictures]),
            panels.H1("Notes"),
            panels.UnorderedList(items=list(text.notes)),
        ],
    )
    report.save()
    return str(report.url)


def _saved(
    workspaces: Any, place: Mapping[str, Any], name: str, sections: Sequence[Any], filters: Sequence[Any]
) -> str:
    workspace = workspaces.Workspace(
        entity=_entity(place),
        project=place["project"],
        name=name,
        sections=list(sections),
        runset_settings=workspaces.RunsetSettings(filters=list(filters)),
    )
    workspace.save()
    return str(workspace.url)


def _packages(place: Mapping[str, Any], asked: str) -> tuple[Any, Any]:
    """The modules of panels and of workspaces."""
    if place["mode"] != "online":
        raise UserError(f"wandb.{asked}: is saved on the server; say wandb.mode=online too")
    try:
        import wandb_workspaces.reports.v2 as panels  # type: ignore[import-not-found]
        import wandb_workspaces.workspaces as workspaces  # type: ignore[import-not-found]
    except ImportError:
        raise UserError(f"wandb.{asked}: needs the package wandb-workspaces; install it with pip") from None
    return panels, workspaces


def _entity(place: Mapping[str, Any]) -> str:
    if place["entity"]:
        return str(place["entity"])
    import wandb

    return str(wandb.Api().default_entity)


def _methods_there(place: Mapping[str, Any]) -> list[str]:
    """The methods of all comparisons of the project, by the summaries of their runs."""
    import wandb

    runs = wandb.Api().runs(f"{_entity(place)}/{place['project']}", filters={"jobType": COMPARE_JOB})
    keys = [str(key) for run in runs for key in run.summary.keys()]  # noqa: SIM118  # no mapping
    return [key.removeprefix(RANK_SUM) for key in keys if key.startswith(RANK_SUM)]
