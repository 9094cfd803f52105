"""W&B: what is written offline is read back by W&B's own reader; what is online is read from a server on loopback."""

import json
import time
from dataclasses import replace

import pytest

from segbench.commands.compare import execute
from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.reading.wandb_runs import fetch_runs, parse_address
from segbench.compare.report import wandb_pages
from segbench.compare.report.upload import compared, destination, title
from segbench.compare.report.wandb_pages import Text, save_project_workspace, save_report, save_workspace
from segbench.compare.request import Publication, Request
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import QUALITIES, make_sweep
from tests.compare.fake_wandb import FakeWandb
from tests.compare.fake_wandb_server import serve
from tests.wandb_files import read_records

wandb = pytest.importorskip("wandb")


def logger(**more):
    return {"logger": {"wandb": {"project": "cells", "entity": "me", "group": None, "mode": "offline", **more}}}


def read_offline(folder, patience=20.0):
    """The folder of the one offline run, and every record of it by kind.

    W&B's own process may write the file a moment after the run was closed.
    """
    (path,) = folder.glob("offline-run-*/*.wandb")
    records = {}
    until = time.monotonic() + patience
    while "exit" not in records and time.monotonic() < until:
        records = {}
        for record in read_records(path):
            records.setdefault(record.WhichOneof("record_type"), []).append(record)
        time.sleep(0.05)
    return path.parent, records


def as_tree(items):
    """Items with nested keys as dictionaries."""
    tree = {}
    for item in items:
        *parents, leaf = [item.key] if item.key else list(item.nested_key)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = json.loads(item.value_json)
    return tree


def test_an_offline_comparison_is_complete(tmp_path, settings, capsys):
    make_sweep(tmp_path / "nightly", QUALITIES, settings=logger())
    output = tmp_path / "nightly" / "comparison"
    execute(Request(runs=(str(tmp_path / "nightly"),), output=output, publish="wandb", bootstraps=200))
    folder, records = read_offline(tmp_path / "nightly" / "wandb")
    run = records["run"][0].run
    assert (run.project, run.entity, run.run_group, run.job_type) == ("cells", "me", "nightly", "compare")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["ranking"] == "mean"
    history = as_tree(item for record in records["history"] for item in record.history.item)
    for name in ("rank_sums", "scores", "ranks", "pairwise", "runs"):
        assert history[name]["_type"] == "table-file"
        table = json.loads((folder / "files" / history[name]["path"]).read_text())
        assert table["columns"]
        assert len(table["data"]) == history[name]["nrows"] > 0
    runs = json.loads((folder / "files" / history["runs"]["path"]).read_text())
    assert {row[runs["columns"].index("wandb_id")] for row in runs["data"]} == {
        json.loads((path / "run.json").read_text())["wandb_id"] for path in find_runs(str(tmp_path / "nightly"))
    }
    assert {"figures/stability", "figures/critical_difference"} <= set(history)
    assert history["report"]["_type"] == "html-file"
    summary = as_tree(item for record in records["summary"] for item in record.summary.update)
    assert summary["best"] == "unet / dice"
    (artifact,) = [record.artifact for record in records["artifact"] if record.artifact.type == "comparison"]
    files = {entry.path for entry in artifact.manifest.contents}
    assert {"report.html", "table.csv", "scores.csv", "ranks.csv", "pairwise.csv", "comparison.json"} <= files
    assert records["exit"][0].exit.exit_code == 0
    assert str(folder) in capsys.readouterr().out.replace("\n", "")


def test_where_a_comparison_goes(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    make_sweep(tmp_path / "a", QUALITIES, settings=logger(mode="online"))
    loaded = load_runs(find_runs(str(tmp_path)), Rules())
    expected = {"project": "cells", "entity": "me", "group": "a", "mode": "online"}
    assert destination(loaded, Request()) == expected
    asked = Publication(project="p", entity="e", group="g", mode="offline")
    assert destination(loaded, Request(wandb=asked)) == {"project": "p", "entity": "e", "group": "g", "mode": "offline"}
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert destination(loaded, Request())["mode"] == "disabled"


def test_runs_are_read_back_from_the_server(tmp_path, settings, capsys):
    fake = FakeWandb()
    for path in make_sweep(tmp_path / "there", QUALITIES):
        record = json.loads((path / "run.json").read_text())
        record["status"] = "running"  # as it is logged: the run finishes after that
        (path / "run.json").write_text(json.dumps(record))
        fake.runs[record["wandb_id"]] = (path, "finished")
    fake.runs["dead"] = (None, "crashed")
    with serve(fake) as address:
        api = wandb.Api(api_key="x" * 40, overrides={"base_url": address})
        folders = fetch_runs("me/segbench?group=sweep", api)
        downloads = fake.operations.count("FetchArtifactManifest")
        assert fetch_runs("me/segbench?group=sweep", api) == folders
        assert fake.operations.count("FetchArtifactManifest") == downloads == 8
    assert fake.filters == {"jobType": "train", "group": "sweep"}
    loaded = load_runs(folders, Rules())
    assert [method.name for method in loaded.methods] == [
        "segnet / dice",
        "segnet / tversky",
        "unet / dice",
        "unet / tversky",
    ]
    assert loaded.unfinished[0].reason == "crashed, logged no scores"
    assert loaded.methods[0].runs[0].address.startswith("http")


def test_a_server_that_cannot_be_reached(settings):
    class Unreachable:
        def runs(self, *arguments, **options):
            raise wandb.errors.CommError("no route to host")

    with pytest.raises(UserError, match="runs=wandb:me/x: no route to host"):
        fetch_runs("me/x", Unreachable())


def test_addresses():
    assert parse_address("me/x") == ("me/x", {})
    assert parse_address("me/x?group=a&tag=b&tag=c") == ("me/x", {"group": "a", "tags": {"$in": ["b", "c"]}})
    for wrong in ("x", "me/", "me/x/y"):
        with pytest.raises(UserError, match="must be wandb:entity/project"):
            parse_address(wrong)
    with pytest.raises(UserError, match="'colour' is no filter; use group, tag, name, state"):
        parse_address("me/x?colour=red")


def test_a_workspace_needs_the_server():
    with pytest.raises(UserError, match=r"say wandb\.mode=online too"):
        save_workspace({"mode": "offline", "project": "p", "entity": "e", "group": "g"}, ["scores"], [], "n")


def test_a_workspace_shows_the_tables_the_report_and_the_figures(monkeypatch):
    workspaces = pytest.importorskip("wandb_workspaces.workspaces")
    saved = []
    monkeypatch.setattr(workspaces.Workspace, "save", lambda self: saved.append(self._to_model()))
    monkeypatch.setattr(workspaces.Workspace, "url", property(lambda self: "address"))
    place = {"mode": "online", "project": "p", "entity": "e", "group": "nightly"}
    assert save_workspace(place, ["rank_sums", "scores"], ["figures/stability"], "n") == "address"
    text = saved[0].model_dump_json()
    for expected in ("rank_sums", "scores", "figures/stability", "report", "nightly", "jobType"):
        assert expected in text


def test_the_rank_sums_of_all_comparisons_stand_in_one_workspace(monkeypatch):
    workspaces = pytest.importorskip("wandb_workspaces.workspaces")
    saved = []
    monkeypatch.setattr(workspaces.Workspace, "save", lambda self: saved.append(self._to_model()))
    monkeypatch.setattr(workspaces.Workspace, "url", property(lambda self: "address"))
    monkeypatch.setattr(wandb_pages, "_methods_there", lambda place: ["unet", "fpn"])
    place = {"mode": "online", "project": "p", "entity": "e", "group": "A+B"}
    assert save_project_workspace(place, ["unet", "segnet"]) == "address"
    (model,) = saved
    assert type(model).model_validate_json(model.model_dump_json(by_alias=True)) == model
    text = model.model_dump_json()
    for expected in ("rank_sum/unet", "rank_sum/segnet", "rank_sum/fpn", "rank_sums", "jobType"):
        assert expected in text
    assert "A+B" not in text  # of any group


def test_a_report_says_the_verdict_in_words(monkeypatch):
    panels = pytest.importorskip("wandb_workspaces.reports.v2")
    saved = []
    monkeypatch.setattr(panels.Report, "save", lambda self: saved.append(self._to_model()))
    monkeypatch.setattr(panels.Report, "url", property(lambda self: "address"))
    interface = pytest.importorskip("wandb_workspaces.reports.v2.interface")
    monkeypatch.setattr(interface, "_get_api", lambda: None)  # asks for the project's internal id
    monkeypatch.setattr(interface, "execute_graphql", lambda *asked: {"project": {"internalId": "1"}})
    place = {"mode": "online", "project": "p", "entity": "e", "group": "g"}
    text = Text("comparison of A and B", "'unet' is better.", ["one seed each"])
    assert save_report(place, "abc123", text, ["rank_sums"], ["figures/stability"]) == "address"
    (model,) = saved
    sent = model.model_dump_json(by_alias=True)
    assert type(model).model_validate_json(sent).spec == model.spec
    written = model.model_dump_json()
    for expected in ("comparison of A and B", "'unet' is better.", "one seed each", "rank_sums", "abc123"):
        assert expected in written


def test_a_joint_comparison_is_named_by_all_that_it_compares(tmp_path, settings):
    for name in "AB":
        make_sweep(tmp_path / name, QUALITIES if name == "A" else {("fpn", "dice"): 0.8}, settings=logger())
    output = tmp_path / "out"
    places = tuple(str(tmp_path / name) for name in "AB")
    execute(Request(runs=places, output=output, publish="wandb", bootstraps=100))
    folder, records = read_offline(tmp_path / "wandb")
    run = records["run"][0].run
    assert (run.display_name, run.run_group, list(run.tags)) == ("comparison of A and B", "A+B", ["A", "B"])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["compared"] == config["groups"] == ["A", "B"]
    assert len(config["runs"]) == len(find_runs(str(tmp_path / "A"))) + len(find_runs(str(tmp_path / "B")))
    history = as_tree(item for record in records["history"] for item in record.history.item)
    table = json.loads((folder / "files" / history["rank_sums"]["path"]).read_text())
    column = table["columns"].index("comparison")
    assert {row[column] for row in table["data"]} == {"comparison of A and B"}


def test_titles():
    assert [title(names) for names in ([], ["A"], ["A", "B", "C"])] == [
        "comparison", "comparison of A", "comparison of A, B and C"
    ]  # fmt: skip


def test_sweeps_of_one_group_are_named_by_their_folders(tmp_path):
    for name in "AB":
        make_sweep(tmp_path / name, QUALITIES if name == "A" else {("fpn", "dice"): 0.8},
                   settings=logger(group="thesis"))  # fmt: skip
    loaded = load_runs(find_runs(str(tmp_path)), Rules())
    assert compared(replace(loaded, places=("A", "B"))) == ["A", "B"]
    assert destination(loaded, Request())["group"] == "thesis"
    assert compared(replace(loaded, places=("sweeps",))) == ["thesis"]


def test_a_refusal_leaves_the_outputs(tmp_path, settings, monkeypatch):
    make_sweep(tmp_path / "runs", QUALITIES, settings=logger())

    def refuse(**options):
        raise wandb.errors.CommError("permission denied")

    monkeypatch.setattr(wandb, "init", refuse)
    request = Request(runs=(str(tmp_path / "runs"),), output=tmp_path / "out", publish="wandb", bootstraps=100)
    with pytest.raises(UserError, match="publish=wandb: permission denied; tables and report are complete in"):
        execute(request)
    assert (tmp_path / "out" / "report.html").exists()
