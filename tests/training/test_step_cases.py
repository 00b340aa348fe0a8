"""The cases of a step follow from the sampler: against the batches that loaders really yield."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from pipeline.training.step_cases import find_broken_images, list_step_cases, name_step_cases, name_waiting_cases


class Cases(torch.utils.data.Dataset):
    """Numbers as cases; the images of some have NaN."""

    def __init__(self, count, broken=()):
        self.data = [{"image": f"/scans/case_{number}.nii.gz"} for number in range(count)]
        self.broken = broken

    def __len__(self):
        return len(self.data)

    def __getitem__(self, place):
        value = torch.nan if place in self.broken else 1.0
        return [{"place": place, "image": torch.tensor([1.0, value])}] * 2


def make_loader(dataset, *, rank=0, ranks=1, epoch=3):
    sampler = DistributedSampler(dataset, num_replicas=ranks, rank=rank, shuffle=True, seed=5)
    sampler.set_epoch(epoch)
    return DataLoader(
        dataset, batch_size=2, sampler=sampler, collate_fn=lambda items: [one[0]["place"] for one in items]
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_they_are_those_of_the_batches_of_all_processes(ranks):
    dataset = Cases(13)
    batches = list(zip(*(make_loader(dataset, rank=rank, ranks=ranks) for rank in range(ranks)), strict=True))
    engine = SimpleNamespace(data_loader=make_loader(dataset, ranks=ranks))
    for step, parts in enumerate(batches, start=1):
        assert list_step_cases(engine, step) == [place for part in parts for place in part]
    names = [f"case_{place}.nii.gz" for part in batches[1] for place in part]
    assert name_step_cases(engine, 2) == names


def test_images_that_are_not_finite_are_named():
    engine = SimpleNamespace(data_loader=make_loader(Cases(8, broken=(5,))))
    step = next(step for step in range(1, 5) if 5 in list_step_cases(engine, step))
    assert find_broken_images(engine, step) == ["case_5.nii.gz"]
    assert find_broken_images(engine, step % 4 + 1) == []


def test_another_sampler_names_nothing():
    assert name_step_cases(SimpleNamespace(data_loader=DataLoader(Cases(4), batch_size=2, shuffle=True)), 1) == []


def test_cases_that_loading_processes_work_on_come_first():
    dataset = Cases(8)
    loader = make_loader(dataset)
    assert name_waiting_cases(SimpleNamespace(data_loader=loader), 2) == name_step_cases(
        SimpleNamespace(data_loader=loader), 2
    )
    dataset.busy_places = lambda: [3]
    assert name_waiting_cases(SimpleNamespace(data_loader=loader), 2) == ["case_3.nii.gz"]
