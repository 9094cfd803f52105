"""W&B online: publishing a comparison sends all of it to a server, here one on loopback."""

import base64
import hashlib
import json

import pytest

from segbench.commands.compare import execute
from segbench.compare.request import Request
from tests.compare.fake_runs import QUALITIES, make_sweep
from tests.compare.fake_wandb_server import serve
from tests.compare.fake_wandb_upload import UploadServer

wandb = pytest.importorskip("wandb")


@pytest.fixture
def server(settings, monkeypatch):
    """A server that W&B's client of this process takes for W&B's."""
    fake = UploadServer()
    with serve(fake) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
        wandb.teardown()  # the client reads the environment once in a process, other tests may have used it
        yield fake
        wandb.teardown()


def test_an_online_comparison_arrives_complete(tmp_path, server, capsys):
    logger = {"project": "cells", "entity": "me", "group": None, "mode": "online"}
    runs = make_sweep(tmp_path / "nightly", QUALITIES, settings={"logger": {"wandb": logger}})
    output = tmp_path / "nightly" / "comparison"
    execute(Request(runs=(str(tmp_path / "nightly"),), output=output, publish="wandb", bootstraps=200))

    run = server.only()
    name = run.created["name"]
    assert f"{server.address}/me/cells/runs/{name}" in capsys.readouterr().out.replace("\n", "")
    place = [run.created[key] for key in ("entity", "project", "groupName", "jobType")]
    assert place == ["me", "cells", "nightly", "compare"]
    assert json.loads(run.created["config"])["ranking"] == {"value": "mean"}
    assert run.exit_code == 0

    (history,) = run.history
    for key in ("rank_sums", "scores", "ranks", "pairwise", "runs"):
        assert run.summary[key]["_type"] == history[key]["_type"] == "table-file"
        table = json.loads(run.files[history[key]["path"]])
        assert len(table["data"]) == history[key]["nrows"] > 0
    linked = json.loads(run.files[history["runs"]["path"]])
    ids = {row[linked["columns"].index("wandb_id")] for row in linked["data"]}
    assert ids == {json.loads((path / "run.json").read_text())["wandb_id"] for path in runs}
    figures = {f"figures/{path.stem}": path.read_bytes() for path in (output / "figures").glob("*.png")}
    assert figures
    for key, picture in figures.items():
        assert run.files[history[key]["path"]] == picture
    assert run.files[history["report"]["path"]] == (output / "report.html").read_bytes()
    assert run.summary["best"] == "unet / dice"

    artifact = server.artifacts[f"comparison-{name}"]
    assert artifact.committed
    assert artifact.created["artifactTypeName"] == "comparison"
    tables = {"table.csv", "scores.csv", "ranks.csv", "pairwise.csv"}
    assert tables | {"report.html", "comparison.json"} <= set(artifact.files)
    assert artifact.files == {path: (output / path).read_bytes() for path in artifact.files}
    digests = {path: entry["digest"] for path, entry in artifact.manifest["contents"].items()}
    assert digests == {
        path: base64.b64encode(hashlib.md5(data).digest()).decode() for path, data in artifact.files.items()
    }
