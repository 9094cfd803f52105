"""The comparison in TensorBoard: its tables as text, its figures, and the rank sum of each method."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segbench.compare.report.outputs import FIGURES
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.verdict import judge
from segbench.errors import UserError

FOLDER = "tensorboard"
TABLES = ("table", "relative")
"""Tables in Markdown, as TensorBoard shows them."""


def write_events(comparison: Comparison, output: Path) -> Path:
    """Write an event file into the folder of a comparison.

    Args:
        comparison: the result.
        output: the folder, with its tables and figures.

    Returns:
        The folder for `tensorboard --logdir`.

    Raises:
        UserError: where the package tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise UserError("publish=tensorboard: pip install 'segbench[tensorboard]' first") from None
    folder = output / FOLDER
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(wall_time=time.time(), step=0, summary=Summary(value=list(_values(comparison, output)))))
    writer.close()
    return folder


def _values(comparison: Comparison, output: Path) -> Iterator[Any]:
    """The texts, pictures and numbers."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    texts = {"verdict": judge(comparison).sentence}
    texts |= {name: path.read_text("utf-8") for name in TABLES if (path := output / f"{name}.md").exists()}
    for name, text in texts.items():
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        metadata = create_summary_metadata(display_name=name, description="")
        yield Summary.Value(tag=name, metadata=metadata, tensor=tensor)
    for path in sorted((output / FIGURES).glob("*.png")):
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])  # of a PNG's first chunk
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=content)
        yield Summary.Value(tag=f"{FIGURES}/{path.stem}", image=image)
    for method, rank_sum in zip(comparison.methods, comparison.total.rank_sums.tolist(), strict=True):
        yield Summary.Value(tag=f"rank_sum/{method}", simple_value=rank_sum)
