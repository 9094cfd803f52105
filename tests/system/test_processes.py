"""What started the processes of a run, and whether they are as many as it asks for."""

import logging
import signal

import pytest
from omegaconf import OmegaConf, open_dict

from segbench.config.identity import run_id
from segbench.errors import Stopped, UserError
from segbench.system import processes
from segbench.system.processes import Launch, check_processes, devices_on_each_node, find_launch, is_main_process
from segbench.training.stopper import Stopper
from tests.made_runs import configure

VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "SLURM_PROCID",
             "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_NTASKS", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_ID",
             "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NODELIST",
             "MASTER_ADDR", "MASTER_PORT")  # fmt: skip

SRUN = {"SLURM_JOB_ID": "12345", "SLURM_STEP_ID": "1", "SLURM_JOB_NAME": "python", "SLURM_NTASKS": "4",
        "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_STEP_NODELIST": "node[07-08]", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
        "SLURM_NTASKS_PER_NODE": "8"}  # fmt: skip
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
ALONE = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables of a launcher, and no other's; what is written over them is undone."""

    def change(variables: dict[str, str]) -> None:
        for name in VARIABLES:
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    change({})
    return change


@pytest.mark.parametrize(
    ("variables", "launch"),
    [
        ({}, None),
        (SRUN, Launch("SLURM", 2, 2)),
        (SRUN | ALONE, Launch("SLURM", 1, 1)),
        (TORCHRUN, Launch("torchrun", 2, 2)),
        (SRUN | ALONE | TORCHRUN, Launch("torchrun", 2, 2)),  # srun torchrun ..
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),  # a batch script
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"}, None),  # the shell of salloc
        (SRUN | ALONE | {"SLURM_JOB_NAME": "bash"}, None),  # srun --pty bash
        (SRUN | ALONE | {"SLURM_STEP_ID": str(2**32 - 6)}, None),  # the shell of salloc on the node
        (SRUN | {"SLURM_JOB_NAME": "interactive"}, Launch("SLURM", 2, 2)),  # srun typed there
    ],
)
def test_what_has_started_the_processes(variables, launch):
    assert find_launch(variables) == launch


def test_nodes_with_other_numbers_of_tasks_are_refused():
    with pytest.raises(UserError, match=r"started 2,1 tasks on the 2 nodes.*tasks_per_node"):
        find_launch(SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2,1"})


@pytest.mark.parametrize(
    ("variables", "main"),
    [
        ({}, True),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "1"}, False),
        (TORCHRUN, False),
        (TORCHRUN | {"RANK": "0", "SLURM_PROCID": "1"}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, False),  # started by Lightning in a batch script
    ],
)
def test_the_first_process_alone_writes(environment, variables, main):
    environment(variables)
    assert is_main_process() == main


@pytest.mark.parametrize(
    ("devices", "count"), [(2, 2), ("2", 2), ([0, 3], 2), ("0,3", 2), ("1,", 1), ("auto", 1), (-1, 1), ("-1", 1)]
)
def test_the_number_of_devices(environment, devices, count):
    trainer = OmegaConf.create({"devices": devices, "accelerator": "cpu"})
    assert devices_on_each_node(trainer) == count


def test_auto_takes_what_was_started(environment):
    environment(SRUN)
    assert devices_on_each_node({"devices": "auto", "accelerator": "cpu"}) == 2


@pytest.mark.parametrize("devices", [0, "many", -3, None])
def test_what_is_no_number_of_devices(devices):
    with pytest.raises(UserError, match=r"trainer\.devices=.*must be a number"):
        devices_on_each_node({"devices": devices, "accelerator": "cpu"})


@pytest.mark.parametrize(
    ("variables", "overrides", "message"),
    [
        ({}, "trainer.devices=2", None),
        (SRUN, "trainer.devices=2 trainer.num_nodes=2", None),
        (SRUN, "trainer.devices=auto trainer.num_nodes=2", None),
        (TORCHRUN, "trainer.devices=2 trainer.num_nodes=2", None),
        (SRUN | ALONE, "trainer.devices=1", None),
        (SRUN | ALONE | {"SLURM_JOB_NAME": "bash"}, "trainer.devices=2", None),
        (SRUN | ALONE, "trainer.devices=2",
         r"trainer\.devices=2: SLURM has started 1 .*set hydra\.launcher\.tasks_per_node=2 .* or trainer\.devices=1"),
        (SRUN, "trainer.devices=1 trainer.num_nodes=2", r"tasks_per_node=1 .* or trainer\.devices=2"),
        (SRUN, "trainer.devices=2", r"trainer\.num_nodes=1: SLURM .* 2; set hydra\.launcher\.nodes=1 .*num_nodes=2"),
        (TORCHRUN, "trainer.num_nodes=2", r"torchrun has started 2 on each node.*nproc_per_node=1 or .*devices=2"),
        ({}, "trainer.num_nodes=2", r"trainer\.num_nodes=2: nothing has started .*hydra/launcher=slurm_ddp"),
    ],
)  # fmt: skip
def test_there_must_be_as_many_processes_as_devices(environment, variables, overrides, message):
    environment(variables)
    config = configure(*overrides.split())
    if message is None:
        check_processes(config)
        return
    with pytest.raises(UserError, match=message) as refusal:
        check_processes(config)
    assert "\n" not in str(refusal.value)


def test_several_devices_in_a_sweep_of_one_process_are_refused():
    processes.refuse_ddp_in_sweep(configure())
    for overrides in ("trainer.devices=2", "trainer.num_nodes=2"):
        with pytest.raises(UserError, match="would start the whole sweep again; use hydra/launcher=slurm_ddp"):
            processes.refuse_ddp_in_sweep(configure(overrides))


def test_the_batch_is_the_same_however_it_is_told():
    total, each = ["trainer.devices=2", "data.batch_size=8"], ["trainer.devices=2", "data.batch_size_per=device"]
    configs = [configure(*total), configure(*each, "data.batch_size=4"), configure("data.batch_size=8")]
    assert {processes.total_batch(config) for config in configs} == {8}
    assert [processes.batch_on_each_device(config) for config in configs] == [4, 4, 8]
    assert len({run_id(config) for config in configs}) == 1
    other = configure(*each, "data.batch_size=8", "trainer.num_nodes=3")
    assert processes.total_batch(other) == 48
    assert run_id(other) != run_id(configs[0])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("data.batch_size=4 trainer.devices=3", r"data\.batch_size=4: is not divisible by the 3 devices"),
        ("data.batch_size_per=node", r"data\.batch_size_per=node: must be run or device"),
        ("data.batch_size_per=device trainer.devices=auto", r"trainer\.devices=auto: .*needs a number"),
    ],
)
def test_a_batch_that_cannot_be_shared_out(overrides, message):
    with pytest.raises(UserError, match=message):
        processes.batch_on_each_device(configure(*overrides.split()))


def test_synchronised_batch_norm_is_another_run_and_its_absence_is_not():
    assert run_id(configure("trainer.sync_batchnorm=true")) != run_id(configure())
    without = configure()
    with open_dict(without):  # as in a run of an earlier version
        del without.trainer["sync_batchnorm"], without.data["batch_size_per"]
    assert run_id(without) == run_id(configure())


def test_synchronised_batch_norm_needs_cuda():
    from segbench.training.trainer import check_trainer, make_trainer

    trainer = configure("trainer=debug", "trainer.devices=2", "trainer.sync_batchnorm=true").trainer
    with pytest.raises(UserError, match=r"trainer\.sync_batchnorm needs CUDA devices"):
        check_trainer(trainer)
    trainer.devices = 1
    check_trainer(trainer)
    make_trainer(trainer, [], [])


def test_more_gpus_than_the_node_has(monkeypatch):
    import segbench.training.trainer as module

    monkeypatch.setattr(module, "pick_accelerator", lambda asked: "cuda")
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"trainer\.devices=4: this process sees 1 CUDA device; .*gpus_per_node=4"):
        module.check_trainer(configure("trainer.devices=4").trainer)


def _environment_of(*overrides: str) -> object:
    from segbench.training.trainer import make_trainer

    trainer = make_trainer(configure("trainer=debug", *overrides).trainer, [], [])
    return trainer._accelerator_connector.cluster_environment


def test_lightning_sees_the_step_of_slurm_and_not_its_job(environment):
    environment(SRUN | {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"})
    seen = _environment_of("trainer.devices=2", "trainer.num_nodes=2", "trainer.strategy=ddp")
    assert type(seen).__name__ == "SLURMEnvironment"
    assert not seen.auto_requeue
    assert (seen.world_size(), seen.global_rank(), seen.local_rank(), seen.node_rank()) == (4, 3, 1, 1)
    assert seen.main_address == "node07"
    seen.validate_settings(num_devices=2, num_nodes=2)
    port = seen.main_port
    environment(SRUN | {"SLURM_STEP_ID": "2"})
    assert _environment_of("trainer.devices=2", "trainer.num_nodes=2", "trainer.strategy=ddp").main_port != port


@pytest.mark.parametrize(
    "variables",
    [SRUN | ALONE, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2"}, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2",
     "SLURM_PROCID": "0", "SLURM_JOB_NAME": "job.sh"}],
)  # fmt: skip
def test_a_single_process_in_a_job_of_slurm_is_an_ordinary_one(environment, variables):
    environment(variables)
    assert type(_environment_of()).__name__ == "LightningEnvironment"
    assert type(_environment_of("trainer.strategy=ddp")).__name__ == "LightningEnvironment"


def test_the_other_processes_leave_the_log_alone(environment, tmp_path, capsys):
    environment({"RANK": "1"})
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        file = logging.FileHandler(tmp_path / "run.log", delay=True)
        root.addHandler(file)
        root.setLevel(logging.INFO)
        processes.keep_quiet()
        logging.getLogger("segbench.training.run").info("twice")
        logging.getLogger("segbench.training.run").warning("wrong")
        assert file not in root.handlers
        assert not (tmp_path / "run.log").exists()
    finally:
        root.handlers[:], root.level = before, level


def test_a_second_signal_stops_at_once_and_one_told_twice_is_one(monkeypatch):
    now = 100.0
    monkeypatch.setattr("segbench.training.stopper.time.monotonic", lambda: now)
    stopper = Stopper()
    stopper._receive(signal.SIGTERM, None)
    now = 100.5
    stopper._receive(signal.SIGTERM, None)
    now = 102.0
    stopper._receive(signal.SIGUSR2, None)
    with pytest.raises(Stopped) as stop:
        stopper._receive(signal.SIGTERM, None)
    assert stop.value.number == stopper.received == signal.SIGTERM
