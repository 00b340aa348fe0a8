import pytest
import torch
from torch import nn

from pipeline.training import Muon
from pipeline.training.muon import orthogonalise


def test_steps_of_matrices_are_those_of_pytorch():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.randn(6, 40, generator=torch.Generator().manual_seed(1))) for _ in range(2))
    options = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9}
    mine = Muon([ours], **options)
    reference = torch.optim.Muon([theirs], **options, nesterov=True, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        gradient = torch.randn(6, 40, generator=torch.Generator().manual_seed(10 + step))
        for parameter, optimizer in ((ours, mine), (theirs, reference)):
            parameter.grad = gradient.clone()
            optimizer.step()
    # PyTorch's products are in bfloat16, too.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
    assert (ours - torch.randn(6, 40, generator=torch.Generator().manual_seed(1))).abs().mean() > 1e-2


def test_steps_of_vectors_are_those_of_adamw():
    start = torch.randn(5, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([ours], lr=0.01, weight_decay=0.1)
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for step in range(5):
        gradient = torch.randn(5, generator=torch.Generator().manual_seed(10 + step))
        for parameter, optimizer in ((ours, mine), (theirs, reference)):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
def test_orthogonalised_is_near_the_polar_factor(shape):
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(1, 0.2, min(shape), dtype=torch.float64)) @ v
    result = orthogonalise(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.65
    assert values.max() < 1.25
    # The same singular vectors: in them the result is diagonal.
    inside = u.T @ result @ v.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), rtol=0, atol=1e-9)


def test_a_kernel_is_the_matrix_of_its_output_channels():
    torch.manual_seed(0)
    kernel = nn.Conv3d(4, 8, 3).weight
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    gradient = torch.randn_like(matrix)
    kernel.grad, matrix.grad = gradient.view_as(kernel).clone(), gradient.clone()
    Muon([kernel]).step()
    Muon([matrix]).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_a_network_learns_with_it_and_goes_on_from_its_state():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 1, 1))
    optimizer = Muon(network.parameters(), lr=0.01)
    x = torch.randn(2, 1, 6, 6, 6)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (network(x) - x.abs()).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    other = Muon(network.parameters(), lr=0.01)
    other.load_state_dict(optimizer.state_dict())
    assert torch.equal(other.state[network[0].weight]["momentum"], optimizer.state[network[0].weight]["momentum"])


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"momentum": 1}, {"betas": (0.9, 1.0)}])
def test_bad_arguments(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .* out of its range"):
        Muon([nn.Parameter(torch.zeros(4, 4))], **wrong)
