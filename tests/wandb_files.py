"""Reads W&B's offline files: a LevelDB log of wandb's own protobuf messages.

wandb itself reads them in its compiled core only, which has no way to list what it finds.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from wandb.proto import wandb_internal_pb2

_BLOCK = 32768
_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_records(path: Path) -> list[wandb_internal_pb2.Record]:
    """All records of a `.wandb` file."""
    records = []
    for data in _messages(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        records.append(record)
    return records


def _messages(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    position, parts = 7, b""
    while position + _HEADER.size <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        checksum, length, kind = _HEADER.unpack_from(content, position)
        if kind == 0:  # the rest of the block is padding
            position += left
            continue
        data = content[position + _HEADER.size : position + _HEADER.size + length]
        assert checksum == zlib.crc32(data, zlib.crc32(bytes([kind])))
        parts += data
        position += _HEADER.size + length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
