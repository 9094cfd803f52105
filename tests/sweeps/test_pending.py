"""Why jobs wait, from what SLURM's commands print; a real one is in test_slurm.py."""

import pytest

from segbench.sweeps.cluster import pending
from segbench.sweeps.cluster.pending import Place, Reasons, explain, remedy_of_refusal
from segbench.sweeps.cluster.squeue import Queued

JOB = (
    "JobId=25 ArrayJobId=25 ArrayTaskId=0-1 JobName=a JobState=PENDING Reason=PartitionConfig TimeLimit=04:00:00 "
    "Partition=debug NumNodes=1 NumCPUs=4 NumTasks=1 CPUs/Task=4 TRES=cpu=4,mem=16G,node=1,billing=4 "
    "NtasksPerN:B:S:C=1:0:*:* MinCPUsNode=4 MinMemoryNode=16G Features=(null)"
)
NODE = "2|19284|(null)|(null)|infinite"


def changed(slurm, nodes: str, job: str = JOB) -> str:
    slurm("scontrol", job)
    slurm("sinfo", nodes)
    return explain("25_1", "PartitionConfig")


def test_what_is_asked_what_there_is_and_what_to_change(slurm):
    assert changed(slurm, NODE) == (
        "SLURM says PartitionConfig: such jobs can never start; each asks for 4 CPUs, 16 GB, 240 min, the nodes of"
        " partition debug have 2 CPUs, 18.83 GB: 'scancel 25', and give the command again with"
        " hydra.launcher.cpus_per_task=2, or another hydra.launcher.partition"
    )


@pytest.mark.parametrize(
    ("job", "nodes", "keys"),
    [
        ({}, "2|8000|(null)|(null)|infinite", "hydra.launcher.cpus_per_task=2 hydra.launcher.mem_gb=7,"),
        ({"C=1:": "C=2:"}, "2|19284|(null)|(null)|infinite", "hydra.launcher.cpus_per_task=1,"),
        ({}, "64|515000|(null)|(null)|2:00:00", "hydra.launcher.timeout_min=120,"),
        ({}, "64|515000|(null)|(null)|1-00:00:00\n2|9000|(null)|(null)|30:00", "less of hydra.launcher"),
        ({"NumNodes=1": "NumNodes=4"}, "64|515000|gpu:2|a|infinite\n" * 2, "hydra.launcher.nodes=2,"),
        ({"MinCPUsNode": "TresPerNode=gres:gpu:4 MinCPUsNode"}, "64|515000|gpu:a100:2(S:0-1)|a|infinite",
         "hydra.launcher.gpus_per_node=2,"),
        ({"Features=(null)": "Features=a100"}, "64|515000|gpu:2|v100,big|infinite", "hydra.launcher.constraint=null,"),
        ({"MinMemoryNode": "MinMemoryCPU"}, "64|50000|(null)|(null)|infinite", "hydra.launcher.mem_gb=48,"),
        ({"Features=": "ExcNodeList=n1 Features="}, "64|64000|(null)|(null)|infinite", "hydra.launcher.exclude=null,"),
        ({}, "2|64000|(null)|(null)|infinite\n8|8000|(null)|(null)|infinite", "less of hydra.launcher"),
    ],
)  # fmt: skip
def test_the_key_is_named_whose_value_no_node_can_meet(slurm, job, nodes, keys):
    text = JOB
    for old, new in job.items():
        assert old in text
        text = text.replace(old, new)
    assert f"with {keys}" in changed(slurm, nodes, text)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"mem_gb": 100, "cpus_per_task": 2}, "; each asks for 2 CPUs, 100 GB, the nodes have 2 CPUs, 18.83 GB: change"
         " hydra.launcher.mem_gb=18"),
        ({"cpus_per_task": 2, "tasks_per_node": 2, "timeout_min": 60}, "; each asks for 4 CPUs, 60 min, the nodes have"
         " 2 CPUs, 18.83 GB: change hydra.launcher.cpus_per_task=1"),
        ({"gpus_per_node": "a100:2", "constraint": "big"}, "; each asks for 1 CPUs, 2 GPUs, big, the nodes have 2 CPUs,"
         " 18.83 GB: change hydra.launcher.gpus_per_node=null hydra.launcher.constraint=null"),
        ({"mem_gb": 4, "account": "nope"}, ""),  # for another reason, which SLURM has named
    ],
)  # fmt: skip
def test_what_to_change_where_slurm_refuses_jobs(slurm, resources, said):
    slurm("sinfo", NODE)
    assert remedy_of_refusal(resources) == said


def test_nodes_of_several_kinds_are_counted(slurm):
    assert "have 2 CPUs, 18.83 GB (2 of 3); 1 CPUs, 3.906 GB (1 of 3):" in changed(
        slurm, f"{NODE}\n{NODE}\n1|4000|(null)|(null)|infinite"
    )


def test_a_slurm_that_does_not_say(slurm):
    slurm("scontrol", "", 1)
    assert "can never start; 'scontrol show job 25_1'" in explain("25_1", "BadConstraints")


def test_what_ends_by_itself_is_only_named(slurm):
    assert explain("25_1", "QOSMaxCpuPerUserLimit") == "SLURM says QOSMaxCpuPerUserLimit"
    assert explain("25_1", "JobHeldUser") == "SLURM says JobHeldUser: 'scontrol release 25' lets them go on"


@pytest.mark.parametrize(
    ("text", "number"),
    [("gres:gpu:2", 2), ("gres/gpu=2", 2), ("gpu:a100:4(S:0-1)", 4), ("gpu:a100:4,gpu:v100:2", 6), ("(null)", 0),
     ("gres:gpu", 1), ("gres:gpu:a100", 1), ("shard:8", 0), ("gres/gpu:h100=3", 3)],
)  # fmt: skip
def test_numbers_of_gpus(text, number):
    assert Place.of_node(["1", "1", text, "(null)", "infinite"]).gpus == number


def test_slurm_is_asked_once_for_an_array(monkeypatch):
    asked = []
    monkeypatch.setattr(pending, "explain", lambda job, reason: asked.append(job) or f"because of {reason}")
    reasons = Reasons()
    queued = {f"7_{task}": Queued("PENDING", "PartitionConfig") for task in range(3)}
    queued |= {"7_3": Queued("RUNNING", "None"), "7_4": Queued("PENDING", "None"), "8_0": Queued("PENDING", "Priority")}
    expected = dict.fromkeys(("7_0", "7_1", "7_2"), "because of PartitionConfig") | {"8_0": "because of Priority"}
    assert reasons.of(queued) == expected
    assert reasons.of(queued) == expected
    assert asked == ["7_0", "8_0"]
