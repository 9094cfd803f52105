"""A server on loopback that takes what W&B's client sends of a run: its settings, history, files and artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from tests.compare.fake_wandb_server import ENTITY, Answer, FakeServer


@dataclass
class Upload:
    """An artifact as it arrives: what was said of it, its manifest, and its files by path."""

    created: dict[str, Any]
    manifest: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


class UploadServer(FakeServer):
    """What the server received.

    Attributes:
        run: what the run was created with.
        history: one dictionary for each step.
        summary: its last state.
        exit_code: of the finished run.
        files: of the run, by path.
        artifacts: by collection name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.files: dict[str, bytes] = {}
        self.artifacts: dict[str, Upload] = {}

    def answers(self) -> Mapping[str, Answer]:
        return {
            **super().answers(),
            "UpsertBucket": self.upsert_run,
            "CreateRunFiles": self.run_files,
            "CreateArtifact": self.create_artifact,
            "CreateArtifactFiles": self.artifact_files,
            "CreateArtifactManifest": self.artifact_manifest,
            "CommitArtifact": self.commit_artifact,
        }

    def upsert_run(self, variables: dict[str, Any]) -> dict[str, Any]:
        created = not self.run
        if created:  # later ones only renew the configuration
            self.run = variables
        project = {"id": "p", "name": self.run["project"], "entity": {"id": "e", "name": ENTITY}}
        bucket = {"id": "r", "name": self.run["name"], "displayName": self.run["displayName"], "project": project}
        return {"upsertBucket": {"inserted": created, "bucket": bucket}}

    def run_files(self, variables: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": self._address("run", "files", name)} for name in variables["files"]]
        return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}

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

    def _address(self, kind: str, owner: str, file: str) -> str:
        return f"{self.address}/{kind}/{owner}/{quote(file)}"

    def put(self, path: str, data: bytes) -> None:
        _, kind, owner, file = unquote(path).split("/", 3)
        if kind == "run":
            self.files[file] = data
        elif kind == "artifact":
            self.artifacts[owner].files[file] = data
        else:
            self.artifacts[owner].manifest = json.loads(data)

    def post(self, path: str, data: bytes) -> None:
        """Takes the lines of history and summary, which come in parts, the last with the exit code."""
        if not path.endswith("/file_stream"):
            return
        part = json.loads(data)
        files = part.get("files") or {}
        lines = {name: [json.loads(line) for line in file["content"]] for name, file in files.items()}
        self.history += lines.get("wandb-history.jsonl", [])
        for summary in lines.get("wandb-summary.json", []):
            self.summary = summary
        if part.get("complete"):
            self.exit_code = part["exitcode"]
