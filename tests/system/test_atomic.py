"""A folder is replaced as a whole, or stays as it was."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from segbench.system.atomic import remove_abandoned, replaced


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fill(folder: Path, name: str) -> None:
    with replaced(folder) as new:
        (new / name).touch()


def test_a_new_folder_is_there_with_the_last_of_its_files(tmp_path):
    with replaced(tmp_path / "above" / "new") as new:
        (new / "a").touch()
        assert not (tmp_path / "above" / "new").exists()
    assert names(tmp_path) == ["above/new/a"]
    assert len(list((tmp_path / "above").iterdir())) == 1


def test_the_former_folder_goes_as_a_whole(tmp_path):
    fill(tmp_path / "one", "a")
    fill(tmp_path / "one", "b")
    assert names(tmp_path) == ["one/b"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_fails_leaves_the_former_folder_and_nothing_else(tmp_path):
    fill(tmp_path / "one", "a")
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "one") as new:
        (new / "b").write_text((new / "not there").read_text())
    assert names(tmp_path) == ["one/a"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_take_its_place_leaves_the_former_one(tmp_path, monkeypatch):
    fill(tmp_path / "one", "a")
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".tmp") and ".former." not in self.name:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no"):
        fill(tmp_path / "one", "b")
    assert names(tmp_path) == ["one/a"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("there", "kept"), [(["a", "whole"], ["one/a", "one/whole"]), (["a"], ["one/b", "one/whole"])])
def test_a_folder_that_another_process_has_completed_stays(tmp_path, there, kept):
    with replaced(tmp_path / "one", mark="whole") as new:
        (new / "b").touch()
        (new / "whole").touch()
        (tmp_path / "one").mkdir()
        for name in there:
            (tmp_path / "one" / name).touch()
    assert names(tmp_path) == kept


def test_what_killed_processes_have_left_of_this_folder_goes_where_it_is_nobody_elses(tmp_path):
    left, others = tmp_path / ".one.17.tmp", tmp_path / ".two.17.tmp"
    for folder in (left, others):
        (folder / "deep").mkdir(parents=True)
    fill(tmp_path / "one", "a")
    assert left.exists()
    with replaced(tmp_path / "one", alone=True):
        pass
    assert not left.exists()
    assert others.exists()


def own(path: Path) -> tuple[str, str]:
    """The parts of this process's temporary name: the machine, and everything."""
    with replaced(path) as new:
        mark = new.name.removeprefix(f".{path.name}.").removesuffix(".tmp")
    return mark.partition("-")[0], mark


def process_that_is_gone() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_killed_processes_have_left_is_removed_by_the_next_and_nothing_of_the_living(tmp_path):
    here, _ = own(tmp_path / "one")
    gone, other = process_that_is_gone(), "0f0f0f" if here != "0f0f0f" else "f0f0f0"
    killed = [f".one.{here}-{gone}.tmp", f".one.{other}-1.tmp", ".one.17.tmp"]
    kept = [f".one.{here}-{os.getppid()}.tmp", f".one.{here}-1.tmp", f".one.{other}-{gone}.tmp", ".two.17.tmp"]
    for name in (*killed, *kept):
        (tmp_path / name / "deep").mkdir(parents=True)
    day = time.time() - 2 * 86400
    for name in (*killed[1:], kept[3]):
        for path in (tmp_path / name / "deep", tmp_path / name):
            os.utime(path, (day, day))
    (tmp_path / kept[2] / "deep" / "new").touch()  # so that its process is at work
    os.utime(tmp_path / kept[2], (day, day))
    with replaced(tmp_path / "one"):
        assert [name for name in (*killed, *kept) if (tmp_path / name).exists()] == kept


def test_a_process_that_was_killed_between_two_renames_has_lost_nothing(tmp_path):
    fill(tmp_path / "one", "a")
    here, _ = own(tmp_path / "two")
    (tmp_path / "one").rename(tmp_path / f".one.{here}-{process_that_is_gone()}.former.tmp")
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "one") as new:
        (new / "b").write_text((new / "not there").read_text())
    assert names(tmp_path) == ["one/a"]


def test_files_that_killed_processes_have_left_among_others(tmp_path):
    here, mine = own(tmp_path / "one")
    gone = process_that_is_gone()
    (tmp_path / "deep").mkdir()
    for name in (f".a.png.{here}-{gone}.tmp", f"deep/.b.png.{here}-{gone}.tmp", f".c.png.{mine}.tmp", "d.tmp"):
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert names(tmp_path) == sorted([f".c.png.{mine}.tmp", "d.tmp"])
