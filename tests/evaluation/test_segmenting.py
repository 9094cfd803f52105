"""The label map of a whole case."""

import pytest
import torch
from torch import nn

from segbench.decoders.argmax import Argmax
from segbench.errors import MachineError
from segbench.evaluation.segmenting import predict_whole, segment
from segbench.inference import Whole


class Full(nn.Module):
    """A network for which the memory of the GPU does not suffice."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_a_full_gpu_is_one_line_that_names_the_keys_of_the_prediction():
    for shape in ((1, 1, 8, 8), (1, 1, 4, 8, 8)):
        image = torch.zeros(shape)
        with pytest.raises(MachineError, match=r"GPU is full .* inference.batch_size"):
            segment(Full(), Whole(), Argmax(), image)
        with pytest.raises(MachineError, match=r"GPU is full"):
            predict_whole(Full(), Whole(), image, None)
