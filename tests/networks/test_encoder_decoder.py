"""The level loop, with stages whose arithmetic is known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.networks import EncoderDecoder, Skip, SkipConnection


class Down(nn.Module):
    """Halve the grid and append a channel of ones, so that a level's width is its depth."""

    def __init__(self, level, log):
        super().__init__()
        self.level, self.log, self.out_channels = level, log, level + 1

    def forward(self, x):
        self.log.append(f"encode {self.level}")
        if self.level == 0:
            return x
        x = F.avg_pool2d(x, 2)
        return torch.cat((x, torch.ones_like(x[:, :1])), dim=1)


class Up(nn.Module):
    """Double the grid, drop the last channel, and merge."""

    def __init__(self, level, in_channels, skip, log):
        super().__init__()
        self.level, self.skip, self.log = level, skip, log
        self.in_channels, self.out_channels = in_channels, skip.merged_channels

    def forward(self, x, kept):
        assert x.shape[1] == self.in_channels
        self.log.append(f"decode {self.level}")
        up = F.interpolate(x, scale_factor=2, mode="nearest")[:, : self.skip.decoder_channels]
        return self.skip.join(kept, up)


class Watched(SkipConnection):
    """Concatenate the first channel, and record when it is kept."""

    def __init__(self, spatial_dims, encoder_channels, decoder_channels, *, log):  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=1)
        self.log, self.encoder_channels = log, encoder_channels

    def keep(self, encoder):
        assert encoder.shape[1] == self.encoder_channels
        self.log.append(f"keep {self.encoder_channels - 1}")
        return encoder[:, :1]

    def transfer(self, kept, decoder):  # noqa: ARG002
        return kept


@pytest.fixture
def watched():
    before = dict(Skip.components)
    Skip.register("watched")(Watched)
    yield
    Skip.components.clear()
    Skip.components.update(before)


def network(skip, log, **options):
    return EncoderDecoder(
        in_channels=1,
        out_channels=1,
        strides=[(2, 2), (2, 2)],
        encoder=[Down(level, log) for level in range(3)],
        skip=skip,
        make_stage=lambda level, below, make_skip: Up(level, below, make_skip(decoder_channels=level + 1), log),
        make_head=lambda _: nn.Identity(),
        **options,
    )


@pytest.mark.usefixtures("watched")
def test_feature_maps_are_kept_when_made_and_joined_deepest_first():
    log = []
    made = network(["watched", {"log": log}], log)
    made(torch.zeros(1, 1, 8, 8))
    assert log == ["encode 0", "keep 0", "encode 1", "keep 1", "encode 2", "decode 1", "decode 0"]


def test_widths_are_what_the_stages_say():
    made = network("concat", [])
    assert made.channels == (1, 2, 3)
    # Level 1: 2 of the decoder and 2 of the encoder; level 0: 1 and 1.
    assert [stage.in_channels for stage in made.decoder] == [3, 4]
    assert [stage.out_channels for stage in made.decoder] == [4, 2]
    assert made.size_divisor == (4, 4)
    assert list(made.skips()) == ["decoder.1.skip", "decoder.0.skip"]
    assert [skip.decoder_channels for skip in made.skips().values()] == [1, 2]


def test_sums_of_known_stages():
    x = torch.randn(2, 1, 8, 4)
    half = F.avg_pool2d(x, 2)
    quarter = F.avg_pool2d(half, 2)
    # Of the deepest level's channels, two come up: the image and the ones.
    up = F.interpolate(quarter, scale_factor=2, mode="nearest")
    expected = x + F.interpolate(up + half, scale_factor=2, mode="nearest")
    torch.testing.assert_close(network("sum", [])(x), expected)


def test_supervised_levels_come_finest_first():
    made = network("none", [], deep_supervision=True).train()
    assert [output.shape for output in made(torch.randn(1, 1, 8, 8))] == [(1, 1, 8, 8), (1, 1, 4, 4)]
    assert made.eval()(torch.randn(1, 1, 8, 8)).shape == (1, 1, 8, 8)
    # A 1x1 convolution of the two channels that the level has.
    (head,) = made.deep_heads
    assert (head.in_channels, head.out_channels, head.kernel_size) == (2, 1, (1, 1))
