"""Regions as masks, and what cleaning does to them, by hand."""

import numpy as np

from pipeline.data.region_table import make_region_table
from pipeline.labelmaps.region_masks import RegionMasks, Regions, find_mask
from pipeline.labelmaps.voxels import split_blocks

# Labels 1 and 2 in whole, 1 in core.
SETS = ((1, 2), (1,))
REGIONS = Regions(("whole", "core"), SETS, make_region_table(SETS, [(0, 2), (1, 1)]))


def test_a_mask_has_the_voxels_whose_pattern_has_its_bit() -> None:
    patterns = np.array([[0, 1, 2, 3]], np.uint8)
    assert find_mask(patterns, 0).tolist() == [[False, True, False, True]]
    assert find_mask(patterns, 1).tolist() == [[False, False, True, True]]
    assert find_mask(np.array([1 << 15, 1], np.uint16), 15).tolist() == [True, False]


def test_all_masks_are_one_volume() -> None:
    patterns = np.random.default_rng(0).integers(0, 8, (4, 3, 5), dtype=np.uint8)
    masks = RegionMasks(patterns, 3)
    assert (masks.shape, masks.size, masks.ndim) == ((4, 3, 5, 3), 180, 4)
    expected = np.stack([patterns >> place & 1 for place in range(3)], axis=-1)
    np.testing.assert_array_equal(np.asarray(masks), expected)
    np.testing.assert_array_equal(masks[..., 1], expected[..., 1])
    np.testing.assert_array_equal(np.asarray(masks[..., 1:3]), expected[..., 1:3])


def test_a_large_volume_is_made_in_blocks() -> None:
    patterns = np.random.default_rng(0).integers(0, 8, (200, 200, 60), dtype=np.uint8)
    blocks = [np.asarray(block) for block in split_blocks(RegionMasks(patterns, 3))]
    assert len(blocks) > 1
    expected = np.stack([patterns >> place & 1 for place in range(3)], axis=-1)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=-1), expected)


def test_only_voxels_that_cleaning_changed_get_other_regions() -> None:
    # Core outside of whole (2) is no label's own pattern: it stays.
    patterns = np.array([[0, 1, 2, 3, 3, 1, 0]], np.uint8)
    before = REGIONS.table[patterns]
    assert before.tolist() == [[0, 2, 1, 1, 1, 2, 0]]
    after = np.array([[0, 2, 1, 1, 0, 0, 2]], np.uint8)
    REGIONS.follow_cleaning(patterns, before, after)
    assert patterns.tolist() == [[0, 1, 2, 3, 0, 0, 1]]


def test_rows_have_numbers_names_and_colours() -> None:
    rows = REGIONS.rows
    assert [(row.value, row.name) for row in rows] == [(1, "whole"), (2, "core")]
    assert rows[0].colour != rows[1].colour
