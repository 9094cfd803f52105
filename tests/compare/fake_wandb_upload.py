"""A server on loopback that takes what W&B's client sends of runs: settings, history, files and artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from tests.compare.fake_wandb_server import ENTITY, Answer, FakeServer

HISTORY = "wandb-history.jsonl"


@dataclass
class Upload:
    """An artifact as it arrives: what was said of it, its manifest, and its files by path."""

    created: dict[str, Any]
    manifest: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


@dataclass
class ServerRun:
    """A run as it arrives.

    Attributes:
        created: what it was created with.
        config: its last configuration.
        lines: what was streamed, by file and line number: what is sent again for a line replaces it.
        posted: how many lines of history were sent, those sent again included.
        summary: its last state.
        exit_code: None while it is going on.
        files: by path.
        starts: how often a client began or continued it.
    """

    created: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    posted: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    starts: int = 0

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dictionary for each line, in order."""
        lines = self.lines.get(HISTORY, {})
        return [lines[number] for number in sorted(lines)]

    @property
    def state(self) -> str:
        """As W&B names it."""
        return "running" if self.exit_code is None else "failed" if self.exit_code else "finished"


class UploadServer(FakeServer):
    """What the server received.

    Attributes:
        runs: by W&B id.
        artifacts: by collection name.
        limit: lines of history after which the network is lost, None: never.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, ServerRun] = {}
        self.artifacts: dict[str, Upload] = {}
        self.limit: int | None = None

    def only(self) -> ServerRun:
        """The run, where there is one."""
        (run,) = self.runs.values()
        return run

    def answers(self) -> Mapping[str, Answer]:
        return {
            **super().answers(),
            "UpsertBucket": self.upsert_run,
            "RunResumeStatus": self.resume_status,
            "Runs": self.list_runs,
            "CreateRunFiles": self.run_files,
            "CreateArtifact": self.create_artifact,
            "CreateArtifactFiles": self.artifact_files,
            "CreateArtifactManifest": self.artifact_manifest,
            "CommitArtifact": self.commit_artifact,
            "ArtifactByID": self.artifact,
        }

    def upsert_run(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        created = name not in self.runs
        run = self.runs.setdefault(name, ServerRun(variables))  # later ones only renew the configuration
        if variables.get("config"):
            run.config = json.loads(variables["config"])
        if variables.get("project"):  # a client begins; later ones leave the place out
            run.exit_code = None
        project = {"id": "p", "name": run.created["project"], "entity": {"id": "e", "name": ENTITY}}
        bucket = {"id": name, "name": name, "displayName": run.created["displayName"], "project": project}
        return {"upsertBucket": {"inserted": created, "bucket": bucket}}

    def resume_status(self, variables: dict[str, Any]) -> dict[str, Any]:
        """How far a run is, for the client that is about to continue it."""
        run = self.runs.get(variables["name"])
        if run is None:
            return {"model": None}
        run.starts += 1
        bucket = {
            "id": variables["name"],
            "name": variables["name"],
            "displayName": run.created["displayName"],
            "summaryMetrics": json.dumps(run.summary),
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(run.history[-1])] if run.history else []),
            "eventsTail": "[]",
            "config": json.dumps(run.config),
            "tags": run.created.get("tags") or [],
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"bucket": bucket}}

    def list_runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The runs of the ids that are asked for, as W&B's public API lists them."""
        wanted = json.loads(variables["filters"]).get("name", {}).get("$in", list(self.runs))
        edges = [{"cursor": name, "node": self._node(name, run)} for name, run in self.runs.items() if name in wanted]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        if not self.runs:
            return {"project": None}  # it is made by its first run
        listed = {"totalCount": len(edges), "edges": edges, "pageInfo": page}
        return {"project": {"internalId": "1", "runCount": len(edges), "readOnly": False, "runs": listed}}

    def _node(self, name: str, run: ServerRun) -> dict[str, Any]:
        node = dict.fromkeys(("sweepName", "commit", "description", "notes"))
        moment = "2026-01-01T00:00:00"
        return node | {
            "id": name,
            "name": name,
            "projectId": "1",
            "displayName": run.created["displayName"],
            "state": run.state,
            "group": run.created["groupName"],
            "jobType": run.created["jobType"],
            "historyLineCount": len(run.history),
            "tags": [],
            "readOnly": False,
            "createdAt": moment,
            "heartbeatAt": moment,
            "user": {"name": "", "username": ENTITY},
        }

    def run_files(self, variables: dict[str, Any]) -> dict[str, Any]:
        owner = variables["run"]
        files = [{"name": name, "uploadUrl": self._address("run", owner, name)} for name in variables["files"]]
        return {"createRunFiles": {"runID": owner, "uploadHeaders": [], "files": files}}

    def create_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        created = variables["input"]
        name = created["artifactCollectionName"]
        self.artifacts[name] = Upload(created)
        sequence = {"id": name, "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}

    def artifact_files(self, variables: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "storagePath": file["name"],
                "uploadUrl": self._address("artifact", file["artifactID"], file["name"]),
                "uploadHeaders": [],
                "artifact": {"id": file["artifactID"]},
            }
            for file in variables["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def artifact_manifest(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["artifactID"]
        file = {"id": name, "uploadHeaders": [], "uploadUrl": self._address("manifest", name, variables["name"])}
        return {"createArtifactManifest": {"artifactManifest": {"id": name, "file": file}}}

    def commit_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["artifactID"]
        self.artifacts[name].committed = True
        return {"commitArtifact": {"artifact": {"id": name, "digest": self.artifacts[name].created["digest"]}}}

    def artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What the client that waits for an artifact is told of it."""
        name = variables["id"]
        upload = self.artifacts[name]
        project = {"id": "p", "internalId": "1", "name": "segbench", "entity": {"name": ENTITY}}
        sequence = {"__typename": "ArtifactSequence", "name": name, "project": project}
        empty = dict.fromkeys(("description", "historyStep", "commitHash", "updatedAt"))
        node = {
            "__typename": "Artifact",
            "id": name,
            "artifactSequence": sequence,
            "versionIndex": 0,
            "artifactType": {"name": upload.created["artifactTypeName"]},
            "metadata": "{}",
            "ttlIsInherited": False,
            "ttlDurationSeconds": -2,
            "tags": [],
            "state": "COMMITTED" if upload.committed else "PENDING",
            "size": 1,
            "digest": upload.created["digest"],
            "fileCount": len(upload.files),
            "createdAt": "2026-01-01T00:00:00",
            "aliases": [{"__typename": "ArtifactAlias", "id": "a", "alias": "v0", "artifactCollection": sequence}],
        }
        return {"artifact": empty | node}

    def _address(self, kind: str, owner: str, file: str) -> str:
        return f"{self.address}/{kind}/{owner}/{quote(file)}"

    def put(self, path: str, data: bytes) -> None:
        _, kind, owner, file = unquote(path).split("/", 3)
        if kind == "run":
            self.runs[owner].files[file] = data
        elif kind == "artifact":
            self.artifacts[owner].files[file] = data
        else:
            self.artifacts[owner].manifest = json.loads(data)

    def post(self, path: str, data: bytes) -> None:
        """Takes the lines of history and summary, which come in parts, the last with the exit code."""
        if not path.endswith("/file_stream"):
            return
        run = self.runs[path.split("/")[-2]]
        part = json.loads(data)
        for name, file in (part.get("files") or {}).items():
            lines = [json.loads(line) for line in file["content"]]
            run.lines.setdefault(name, {}).update(enumerate(lines, start=file["offset"]))
            if name == HISTORY:
                run.posted += len(lines)
            elif name == "wandb-summary.json":
                run.summary = lines[-1]
        if part.get("complete"):
            run.exit_code = part["exitcode"]
        if self.limit is not None and len(run.history) >= self.limit:
            self.health = "gone"
