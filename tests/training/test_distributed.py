import faulthandler
import subprocess
import sys
from pathlib import Path

import ignite.distributed as idist
import pytest
import torch
import torch.distributed as dist
from monai.losses import DeepSupervisionLoss, DiceCELoss, DiceLoss
from monai.metrics import DiceMetric
from torch.nn.parallel import DistributedDataParallel

from pipeline.data.errors import InputError
from pipeline.data.target_table import TargetTable, mark_set
from pipeline.networks import VNet, sparsity
from pipeline.training import SegmentationLoss, SparseSkipLoss
from pipeline.training.distributed import gather_batch, leave_ranks, local_device, start_ranks

RANKS, CLASSES = 2, 3


def network(*, deep_supervision):
    torch.manual_seed(0)
    return VNet(2, 1, CLASSES, (2, 4, 6), skip="sat", norm="instance", deep_supervision=deep_supervision)


def batch():
    """Return four samples, two with large structures: their Dice differs from the mean of the ranks' Dice."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(4, 1, 16, 16, generator=generator)
    label = torch.zeros(4, 1, 16, 16, dtype=torch.uint8)
    label[:2, :, 2:14, 2:9], label[:2, :, 2:14, 9:14] = 1, 2
    label[2, :, 4, 4], label[3, :, 5:7, 5] = 1, 2
    return image, label


def criterion(prediction, target):
    dice = DiceCELoss(softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    loss = DeepSupervisionLoss(dice) if isinstance(prediction, list) else dice
    return loss(prediction, target.float())


def step(net, image, label, gather=gather_batch):
    """Return loss and gradients of a training step, sparsity term included."""
    value = criterion(*gather(net(image), label)) + 0.1 * sparsity(net)
    value.backward()
    return value.item(), [parameter.grad for parameter in net.parameters()]


def masked(label):
    """Return a target in which the samples have different known voxels, and two of them a partial annotation."""
    target = label.int()
    target[0, :, 8:], target[3, :, :, :12] = CLASSES, CLASSES
    target[1:3] += mark_set(0, CLASSES)
    return target


def masked_step(net, image, target):
    """Return loss and gradients of a step with ignored voxels and a partly annotated set."""
    table = TargetTable({"background": 0, "a": 1, "b": 2}, annotated=[["a"]])
    loss = SegmentationLoss([DiceLoss(batch=True)], voxels="cross_entropy", targets=table)
    value = SparseSkipLoss(loss, net, 0.0)(net(image), target)
    value.backward()
    return value.item(), [parameter.grad for parameter in net.parameters()]


def shard_dice(values, rank):
    """Return the mean of MONAI's metric over cases that the ranks share."""
    metric = DiceMetric()
    for value in values[rank::RANKS]:
        metric.append(torch.tensor([value]))
    return metric.aggregate().item()


def work(rank, folder):
    torch.set_num_threads(1)
    # A rank that waits for ever says where, and ends.
    faulthandler.dump_traceback_later(500, exit=True)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=RANKS)
    idist.sync()
    image, label = batch()
    own = slice(2 * rank, 2 * rank + 2)
    results = {}
    for deep in (False, True):
        net = DistributedDataParallel(network(deep_supervision=deep))
        results[deep] = step(net, image[own], label[own])
        apart = DistributedDataParallel(network(deep_supervision=deep))
        results[deep, "apart"] = step(apart, image[own], label[own], gather=lambda *tensors: tensors)
    net = DistributedDataParallel(network(deep_supervision=False))
    results["masked"] = masked_step(net, image[own], masked(label)[own])
    results["gathered"] = gather_batch(image[own], label[own])
    results["dice"] = shard_dice([0.2, 0.6, 0.9], rank)
    torch.save(results, folder / f"{rank}.pt")
    leave_ranks()
    assert not dist.is_initialized()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    """Return the results of every rank."""
    folder = tmp_path_factory.mktemp("ranks")
    # Two fresh processes: forked ones, from here or from one that imported all this, have waited for locks for ever.
    started = [subprocess.Popen([sys.executable, __file__, str(rank), str(folder)]) for rank in range(RANKS)]
    try:
        assert [process.wait(timeout=600) for process in started] == [0] * RANKS
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True])
def test_two_ranks_compute_loss_and_gradient_of_the_whole_batch(ranks, deep):
    loss, gradients = step(network(deep_supervision=deep), *batch())
    for rank in ranks:
        assert rank[deep][0] == pytest.approx(loss, rel=1e-6)
        for ours, whole in zip(rank[deep][1], gradients, strict=True):
            torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_two_ranks_share_the_known_voxels_of_the_whole_batch(ranks):
    image, label = batch()
    loss, gradients = masked_step(network(deep_supervision=False), image, masked(label))
    for rank in ranks:
        assert rank["masked"][0] == pytest.approx(loss, rel=1e-6)
        for ours, whole in zip(rank["masked"][1], gradients, strict=True):
            torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_without_gathering_it_is_another_loss_and_another_gradient(ranks):
    loss, gradients = step(network(deep_supervision=False), *batch())
    apart = [rank[False, "apart"] for rank in ranks]
    assert abs(sum(value for value, _ in apart) / RANKS - loss) > 1e-2
    assert max((ours - whole).abs().max() for ours, whole in zip(apart[0][1], gradients, strict=True)) > 1e-3


@pytest.mark.slow
def test_the_ranks_batches_follow_each_other(ranks):
    image, label = batch()
    for rank in ranks:
        assert torch.equal(rank["gathered"][0], image)
        assert torch.equal(rank["gathered"][1], label)


@pytest.mark.slow
def test_every_rank_knows_the_dice_of_unequal_shares(ranks):
    assert [rank["dice"] for rank in ranks] == pytest.approx([(0.2 + 0.6 + 0.9) / 3] * RANKS)


def test_one_process_has_the_whole_batch():
    image, label = batch()
    given = [image, image[..., ::2, ::2]]
    prediction, target = gather_batch(given, label)
    assert prediction is given
    assert target is label


def test_a_process_takes_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert local_device() == torch.device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert local_device() == torch.device("cpu")


@pytest.fixture
def torchrun(monkeypatch):
    """Set the environment of the first of four processes that torchrun starts."""
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")


@pytest.mark.parametrize("name", ["RANK", "MASTER_ADDR"])
def test_says_how_to_start_when_torchrun_did_not(monkeypatch, torchrun, name):
    monkeypatch.delenv(name)
    with pytest.raises(InputError, match=rf"found no {name} in the.*`torchrun --standalone .*training"):
        start_ranks("cpu", 4)


@pytest.mark.parametrize(("batch", "remedy"), [(2, 4), (6, 8), (9, 12)])
def test_a_batch_that_cannot_be_shared_out_is_refused(torchrun, batch, remedy):
    with pytest.raises(InputError, match=rf"found {batch} cases for 4 processes.*--batch {remedy},"):
        start_ranks("cpu", batch)


def test_more_processes_than_gpus_are_refused(monkeypatch, torchrun):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"found 4 processes and 1 GPU on this machine.*--nproc_per_node 1 "):
        start_ranks("cuda:0", 4)


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
