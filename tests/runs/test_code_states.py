"""Every state of the code that a run was made by is recorded, and none is exchanged unasked."""

import shutil
from pathlib import Path

import pytest

import segbench
from segbench.compare.reading.comparability import _must_agree
from segbench.compare.reading.runs import Run
from segbench.errors import UserError
from segbench.runs import code_states
from segbench.runs.code_states import code_state, states_of
from segbench.runs.directory import RunDirectory
from tests.made_runs import execute

SETTINGS = ("trainer.max_steps=2", "trainer.validate_every=1")
OTHER = {"commit": "f" * 40, "dirty": False, "digest": "0123456789ab"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return execute(tmp_path_factory.mktemp("made") / "run", *SETTINGS).path


@pytest.fixture
def interrupted(made, tmp_path):
    """A run that has trained and not yet finished."""
    shutil.copytree(made, tmp_path / "run")
    RunDirectory(tmp_path / "run").update(status="interrupted")
    return tmp_path / "run"


def test_a_new_run_records_its_code(made):
    (state,) = RunDirectory(made).record["code"]
    assert state == {**code_state(), "from_step": 0}


def test_the_same_code_goes_on_without_a_word(interrupted):
    assert execute(interrupted, *SETTINGS).record["code"] == [{**code_state(), "from_step": 0}]


def test_other_code_is_refused_and_nothing_is_written_over(interrupted, monkeypatch):
    before = (interrupted / "run.json").read_text()
    monkeypatch.setattr(code_states, "code_state", lambda modules: OTHER)
    with pytest.raises(UserError, match=r"up to step 2, now commit ffffffffff, files 0123456789ab.*code=renew"):
        execute(interrupted, *SETTINGS)
    kept = RunDirectory(interrupted).record
    assert kept["code"] == [{**code_state(), "from_step": 0}]
    assert before.split('"git"')[1].split("}")[0] in (interrupted / "run.json").read_text()


def test_renewed_code_is_recorded_beside_the_former(interrupted, monkeypatch):
    monkeypatch.setattr(code_states, "code_state", lambda modules: OTHER)
    directory = execute(interrupted, *SETTINGS, "code=renew")
    assert directory.finished
    assert directory.record["code"] == [{**code_state(), "from_step": 0}, {**OTHER, "from_step": 2}]
    assert "from step 2" in _must_agree(Run(directory.path, directory.record))["git commit"]
    monkeypatch.undo()
    assert execute(interrupted, *SETTINGS).finished  # what is done is shown, whatever the code is


def test_before_the_first_checkpoint_code_may_change(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.record = {"code": [{**OTHER, "from_step": 0}]}
    assert states_of(directory, "refuse", (), lambda: 0) == [{**code_state(), "from_step": 0}]


def test_an_unknown_policy(tmp_path):
    with pytest.raises(UserError, match="code=keep: must be one of refuse, renew"):
        states_of(RunDirectory(tmp_path), "keep", (), lambda: 0)


def test_the_digest_is_one_of_the_content(tmp_path, monkeypatch):
    package = tmp_path / "segbench"
    shutil.copytree(Path(segbench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(segbench, "__file__", str(package / "__init__.py"))
    measure = code_state.__wrapped__
    assert measure()["digest"] == code_state()["digest"]
    (package / "note.txt").write_text("no code")
    assert measure()["digest"] == code_state()["digest"]
    with (package / "errors.py").open("a") as file:
        file.write("# changed\n")
    assert measure()["digest"] != code_state()["digest"]


def test_the_digest_has_modules_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_networks_of_a_test.py"
    module.write_text("x = 1\n")
    first = code_state.__wrapped__(frozenset([module.stem]))["digest"]
    module.write_text("x = 2\n")
    assert len({first, code_state()["digest"], code_state.__wrapped__(frozenset([module.stem]))["digest"]}) == 3
