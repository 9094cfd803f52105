"""The cache of decoded cases: exact, shared, made once, and never half-made."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segbench.data.case import IGNORE, Case, Dataset, Record, Source
from segbench.data.chunked import ChunkedArray, write_chunked
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.store import CaseStore
from segbench.errors import UserError


class Noise(Dataset):
    """Two random volumes with two channels; counts how often it decodes."""

    name = "noise"
    classes = ("background", "a", "b", "never")
    channels = 2
    spatial_dims = 3
    has_instances = True
    source = Source("nowhere", "none", "none", "nothing")

    def __init__(self, files: tuple[Path, ...] = (), fails: bool = False) -> None:
        self.files = files
        self.fails = fails
        self.decoded = 0
        self.seed = 0

    def records(self) -> list[Record]:
        return [Record("x", "p", self.files, "train"), Record("y", "p", self.files, "test")]

    def load(self, record: Record) -> Case:
        self.decoded += 1
        if self.fails and record.id == "y":
            raise UserError("y is bad")
        rng = np.random.default_rng(ord(record.id) + self.seed)
        image = rng.normal(7, 3, (2, 20, 30, 40)).astype(np.float32)
        label = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (20, 30, 40), p=[0.9, 0.05, 0.04, 0.01])
        instances = np.where(label == 1, rng.integers(1, 5, label.shape), 0).astype(np.int32)
        return Case(record.id, image, label, (3.0, 1.0, 0.5), record.group, instances)


def test_cases_come_back_unchanged(tmp_path: Path) -> None:
    dataset = Noise()
    store = CaseStore(dataset, tmp_path)
    assert store.ids == ["x", "y"]
    assert len(store) == 2
    for record in dataset.records():
        case, stored = dataset.load(record), store[record.id]
        for name in ("image", "label", "instances"):
            array = getattr(stored, name)
            np.testing.assert_array_equal(array, getattr(case, name))
            assert array.dtype == getattr(case, name).dtype
            assert isinstance(array, ChunkedArray)
        assert stored.spacing == case.spacing
        assert (stored.meta.group, stored.meta.part) == (record.group, record.part)


def test_meta_is_what_numpy_says(tmp_path: Path) -> None:
    dataset = Noise()
    store = CaseStore(dataset, tmp_path)
    case, meta = dataset.load(dataset.records()[0]), store.meta("x")
    assert meta.shape == case.image.shape
    assert meta.dtype == "float32"
    assert meta.pixels == tuple(int((case.label == value).sum()) for value in range(4))
    assert meta.ignored == int((case.label == IGNORE).sum())
    assert meta.present == {0, 1, 2}
    assert meta.objects == 4
    for channel, values in zip(meta.intensities, case.image.astype(np.float64), strict=True):
        expected = [
            values.mean(),
            values.std(),
            values.min(),
            *np.percentile(values, [0.5, 99.5]),
            values.max(),
            *np.quantile(values, np.linspace(0, 1, 33)),
        ]
        measured = [
            channel.mean,
            channel.std,
            channel.minimum,
            channel.percentile_00_5,
            channel.percentile_99_5,
            channel.maximum,
            *channel.quantiles,
        ]
        np.testing.assert_allclose(measured, expected, rtol=1e-6)


def test_locations_are_pixels_of_their_class(tmp_path: Path) -> None:
    stored = CaseStore(Noise(), tmp_path)["x"]
    assert list(stored.locations) == [0, 1, 2]
    for value, pixels in stored.locations.items():
        assert (np.asarray(stored.label).ravel()[pixels] == value).all()
        assert len(np.unique(pixels)) == len(pixels) == min(10_000, stored.meta.pixels[value])
    assert stored.meta.pixels[0] > 10_000
    # A random choice, not the first ones: spread evenly over the volume.
    np.testing.assert_allclose(stored.locations[0].mean() / np.asarray(stored.label).size, 0.5, atol=0.02)


def test_decoded_once(tmp_path: Path) -> None:
    dataset = Noise()
    first, second = CaseStore(dataset, tmp_path), CaseStore(dataset, tmp_path)
    assert dataset.decoded == 2
    assert second.fingerprint == first.fingerprint
    assert second.meta("y") == first.meta("y")


def test_decoded_anew_when_a_file_or_a_setting_changes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    folders = {CaseStore(Noise((file,)), tmp_path / "cache").folder}
    file.write_text("three")
    folders.add(CaseStore(Noise((file,)), tmp_path / "cache").folder)
    folders |= {CaseStore(SyntheticCells(1, [32, 32], seed), tmp_path / "cache").folder for seed in (0, 1)}
    assert len(folders) == 4


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    plain, filed = CaseStore(Noise(), tmp_path / "a"), CaseStore(Noise((tmp_path / "file",)), tmp_path / "b")
    assert plain.folder.name != filed.folder.name
    assert plain.fingerprint == filed.fingerprint
    other = CaseStore(SyntheticCells(1, [32, 32], 0), tmp_path / "a")
    assert other.fingerprint != plain.fingerprint


def test_bad_case_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="y is bad"):
        CaseStore(Noise(fails=True), tmp_path)
    assert [path.suffix for path in (tmp_path / "noise").iterdir()] == [".lock"]


def test_remains_of_a_killed_process_are_replaced(tmp_path: Path) -> None:
    store = CaseStore(Noise(), tmp_path)
    expected = np.array(store["x"].image)
    left = store.folder.with_name(f".{store.folder.name}.{os.getpid() + 1}.tmp")
    shutil.move(store.folder, left)
    (left / "x" / "image.b2nd").write_bytes(b"half")
    np.testing.assert_array_equal(CaseStore(Noise(), tmp_path)["x"].image, expected)
    assert not left.exists()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbage": lambda file: file.write_bytes(np.random.default_rng(0).bytes(file.stat().st_size)),
    "gone": lambda file: file.unlink(),
    "of another size": lambda file: write_chunked(file, np.zeros((1, 2, 3), np.uint8)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["index.json", "x/image.b2nd", "x/label.b2nd", "x/instances.b2nd", "x/locations.npy"])
def test_what_is_damaged_is_decoded_anew(tmp_path: Path, name: str, damage: str) -> None:
    if name in ("index.json", "x/locations.npy") and damage == "of another size":
        return  # the one is no array, of the others there may be any number
    first = CaseStore(Noise(), tmp_path)
    files = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    DAMAGES[damage](first.folder / name)
    store = CaseStore(Noise(), tmp_path)
    case = store["x"]
    assert case.image.shape[1:] == case.label.shape
    assert case.instances is not None
    assert case.locations
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == files
    assert not list(tmp_path.rglob(".*.tmp"))


def test_a_case_that_is_damaged_while_it_is_used_is_decoded_anew(tmp_path: Path) -> None:
    store = CaseStore(Noise(), tmp_path)
    expected = np.array(store["x"].image)
    store.close()
    shutil.rmtree(store.folder / "x")
    copied = pickle.loads(pickle.dumps(store))  # as in a worker
    np.testing.assert_array_equal(copied["x"].image, expected)
    np.testing.assert_array_equal(store["x"].image, expected)


def test_a_damaged_case_whose_files_have_changed_is_refused(tmp_path: Path) -> None:
    dataset = Noise()
    store = CaseStore(dataset, tmp_path)
    (store.folder / "x" / "label.b2nd").unlink()
    dataset.seed = 17
    with pytest.raises(UserError, match=r"x is damaged, and .* is not what it was"):
        _ = store["x"].label


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\): set data\.cache"):
        CaseStore(Noise(), tmp_path / "file")


def test_case_that_breaks_the_contract(tmp_path: Path) -> None:
    class Wrong(Noise):
        classes = ("background", "a")

    with pytest.raises(UserError, match="x: its label has class 2; the data set noise has classes 0 to 1"):
        CaseStore(Wrong(), tmp_path)


def test_processes_that_start_together_share_one_decoding(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from segbench.data.datasets.synthetic_cells import SyntheticCells\n"
        "from segbench.data.store import CaseStore\n"
        "class Loud(SyntheticCells):\n"
        "    def load(self, record):\n"
        "        sys.stdout.write(record.id + chr(10))\n"
        "        return super().load(record)\n"
        "print(CaseStore(Loud(8, [96, 96], 0), sys.argv[1]).fingerprint)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert sorted(len(output) for output in outputs) == [1, 1, 9]
    assert len({output[-1] for output in outputs}) == 1


def open_files(folder: Path) -> int:
    """Files below the folder that this process has mapped."""
    return len({line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line})


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="lists no open files")
def test_last_small_cases_stay_open(tmp_path: Path) -> None:
    """The last 64, and no more files than those have, also where the operating system allows few."""
    store = CaseStore(SyntheticCells(100, [32, 32], 0), tmp_path)
    for case_id in store.ids:
        case = store[case_id]
        assert case.instances is not None
        assert case.image.shape[1:] == case.label.shape == case.instances.shape
    del case
    assert open_files(tmp_path) == 3 * 64
    kept = store.ids[-64:]
    assert all(store[case_id] is store[case_id] for case_id in kept)
    assert all("image" in vars(store[case_id]) for case_id in kept)
    _ = store[kept[0]]  # used again: the next to go is the second
    _ = store[store.ids[0]]
    assert "image" in vars(store[kept[0]])
    assert "image" not in vars(store[kept[1]])


@pytest.mark.parametrize(("values", "open_"), [(1023, False), (1024, True)])
def test_large_cases_are_closed_after_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: int, open_: bool
) -> None:
    store = CaseStore(SyntheticCells(2, [32, 32], 0), tmp_path)
    monkeypatch.setattr("segbench.data.store._OPEN_VALUES", values)
    assert store[store.ids[0]].image.shape[1:] == (32, 32)
    assert (open_files(tmp_path) == 1) == open_


def read_first(store: CaseStore, queue: Any) -> None:
    queue.put({case_id: int(store[case_id].image.sum()) for case_id in store.ids})


def test_forked_workers_read_what_was_open_before(tmp_path: Path) -> None:
    store = CaseStore(SyntheticCells(5, [32, 32], 0), tmp_path)
    expected = {case_id: int(store[case_id].image.sum()) for case_id in store.ids}
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=read_first, args=(store, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=30) for _ in workers] == [expected] * 3
    for worker in workers:
        worker.join()
    assert {case_id: int(store[case_id].image.sum()) for case_id in store.ids} == expected


def test_opening_is_fast(tmp_path: Path) -> None:
    dataset = SyntheticCells(300, [32, 32], 0)
    CaseStore(dataset, tmp_path)
    start = time.perf_counter()
    CaseStore(dataset, tmp_path)
    assert time.perf_counter() - start < 0.3


def test_store_travels_to_workers_without_its_arrays(tmp_path: Path) -> None:
    store = CaseStore(Noise(), tmp_path)
    _ = store["x"].image
    content = pickle.dumps(store)
    assert len(content) < 10_000
    np.testing.assert_array_equal(pickle.loads(content)["x"].image, store["x"].image)
