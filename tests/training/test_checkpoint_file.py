"""Checkpoints are read as numbers alone; what is damaged is said in one line."""

import os
from collections import OrderedDict

import pytest
import torch

from segbench.errors import UserError
from segbench.training.checkpoint_file import CheckpointFile, read_checkpoint


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    content = {"state_dict": OrderedDict(a=torch.arange(3)), "callbacks": {"x": {"score": 0.5, "names": ["b"]}}, "n": 3}
    CheckpointFile().save_checkpoint(content, tmp_path / "a.ckpt")
    for mapped in (True, False):
        found = read_checkpoint(tmp_path / "a.ckpt", mapped)
        assert torch.equal(found.pop("state_dict")["a"], torch.arange(3))
        assert found == {"callbacks": content["callbacks"], "n": 3}


@pytest.mark.parametrize("read", [read_checkpoint, CheckpointFile().load_checkpoint])
def test_code_in_a_checkpoint_is_not_executed(tmp_path, read):
    torch.save({"state_dict": {}, "callbacks": Trap(tmp_path / "sprung")}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"a\.ckpt: holds something else than numbers, which is not executed \(.*mkdir"):
        read(tmp_path / "a.ckpt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "a.ckpt"
    if content is None:
        torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.ckpt: is damaged \(.*\); delete"):
        read_checkpoint(path)


def test_a_byte_that_the_disk_has_changed_is_noticed(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.ckpt: is damaged \(.*not what was written\); delete"):
        read_checkpoint(path)
