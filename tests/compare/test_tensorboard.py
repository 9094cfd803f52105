"""The comparison in TensorBoard, read back by its own reader."""

import pytest

from segbench.commands.compare import execute
from segbench.compare.request import Request
from tests.compare.fake_runs import QUALITIES, make_sweep


def test_tables_figures_and_rank_sums_are_read_back(tmp_path):
    accumulation = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    make_sweep(tmp_path / "runs", QUALITIES)
    output = tmp_path / "out"
    execute(Request(runs=(str(tmp_path / "runs"),), output=output, publish="tensorboard", bootstraps=100))
    events = accumulation.EventAccumulator(str(output / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert {"verdict", "table"} <= set(events.Tags()["tensors"])
    (text,) = events.Tensors("table")
    assert text.tensor_proto.string_val[0].decode() == (output / "table.md").read_text()
    figures = {f"figures/{path.stem}": path.read_bytes() for path in (output / "figures").glob("*.png")}
    assert {tag: events.Images(tag)[0].encoded_image_string for tag in events.Tags()["images"]} == figures
    (best,) = events.Scalars("rank_sum/unet / dice")
    assert best.value == 2
