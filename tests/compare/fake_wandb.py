"""A server on loopback that answers the few questions W&B's public API asks to read runs and their artifacts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.compare.fake_wandb_server import ENTITY, Answer, FakeServer

FILES = ("cases.csv", "config.yaml", "split.json", "run.json")
PROJECT = "segbench"
PROJECT_NODE = {"id": "p", "internalId": "1", "name": PROJECT, "entity": {"name": ENTITY}}
PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}


class FakeWandb(FakeServer):
    """What the server knows.

    Attributes:
        runs: by W&B id: directory with what was logged, or None where no scores were, and state.
        filters: what the last question for runs was narrowed to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, tuple[Path | None, str]] = {}
        self.filters: dict[str, Any] = {}

    def answers(self) -> Mapping[str, Answer]:
        return {
            **super().answers(),
            "Runs": self.list_runs,
            "RunOutputArtifacts": self.artifacts,
            "FetchArtifactManifest": self.manifest_address,
            "GetArtifactMembershipFileUrls": self.file_addresses,
        }

    def get(self, path: str) -> bytes:
        _, kind, name, *file = path.split("/")
        return json.dumps(self.manifest(name)).encode() if kind == "manifest" else self.file(name, *file)

    def list_runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.filters = json.loads(variables["filters"])
        edges = [{"cursor": name, "node": self._run(name, state)} for name, (_, state) in self.runs.items()]
        runs = {"totalCount": len(edges), "edges": edges, "pageInfo": PAGE}
        return {"project": {**PROJECT_NODE, "runCount": len(edges), "readOnly": False, "runs": runs}}

    def _run(self, name: str, state: str) -> dict[str, Any]:
        node = dict.fromkeys(("sweepName", "commit", "description", "notes", "historyLineCount"))
        node |= {
            "id": name,
            "name": name,
            "displayName": name,
            "state": state,
            "group": "sweep",
            "jobType": "train",
        }
        moment = "2026-01-01T00:00:00"
        return node | {
            "projectId": "1",
            "tags": [],
            "readOnly": False,
            "createdAt": moment,
            "heartbeatAt": moment,
            "user": {"name": "", "username": ENTITY},
        }

    def artifacts(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["run"]
        edges = [] if self.runs[name][0] is None else [{"node": self._artifact(name), "cursor": name}]
        artifacts = {"totalCount": len(edges), "pageInfo": PAGE, "edges": edges}
        return {"project": {"run": {"artifacts": artifacts}}}

    def _artifact(self, name: str) -> dict[str, Any]:
        sequence = {"__typename": "ArtifactSequence", "name": f"cases-{name}", "project": PROJECT_NODE}
        empty = dict.fromkeys(("description", "historyStep", "commitHash", "updatedAt"))
        alias = {"__typename": "ArtifactAlias", "id": "a", "alias": "v0", "artifactCollection": sequence}
        return {
            **empty,
            "__typename": "Artifact",
            "id": name,
            "artifactSequence": sequence,
            "versionIndex": 0,
            "artifactType": {"name": "cases"},
            "metadata": "{}",
            "ttlIsInherited": False,
            "ttlDurationSeconds": -2,
            "tags": [],
            "state": "COMMITTED",
            "size": 1,
            "digest": hashlib.md5(name.encode()).hexdigest(),
            "fileCount": len(FILES),
            "createdAt": "2026-01-01T00:00:00",
            "aliases": [alias],
        }

    def manifest_address(self, variables: dict[str, Any]) -> dict[str, Any]:
        file = {"directUrl": f"{self.address}/manifest/{variables['id']}"}
        return {"artifact": {"currentManifest": {"__typename": "ArtifactManifest", "file": file}}}

    def file_addresses(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["collection"].removeprefix("cases-")
        edges = [
            {"node": {"__typename": "File", "name": file, "directUrl": f"{self.address}/file/{name}/{file}"}}
            for file in FILES
        ]
        files = {"pageInfo": PAGE, "edges": edges}
        return {
            "project": {
                "artifactCollection": {
                    "__typename": "ArtifactSequence",
                    "artifactMembership": {"files": files},
                }
            }
        }

    def manifest(self, name: str) -> dict[str, Any]:
        folder = self.runs[name][0]
        assert folder is not None
        contents = {}
        for file in FILES:
            data = (folder / file).read_bytes()
            digest = base64.b64encode(hashlib.md5(data).digest()).decode()
            contents[file] = {"digest": digest, "size": len(data), "birthArtifactID": name}
        policy = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
        return {"version": 1, **policy, "contents": contents}

    def file(self, name: str, file: str) -> bytes:
        folder = self.runs[name][0]
        assert folder is not None
        return (folder / file).read_bytes()
