"""Make the JSON of runs with known true differences between arms."""

from __future__ import annotations

import zlib

import numpy as np

LABELS = ("anterior", "posterior")
PERTURBATIONS = {"noise": ("share of the range", [0.02, 0.05, 0.1, 0.15, 0.2]), "blur": ("mm", [0.5, 1, 1.5, 2, 3])}
LAYERS = [f"down.{level}.conv" for level in range(4)] + ["bottom.conv"] + [f"up.{level}.conv" for level in range(4)]


def make_run(
    skip,
    seed=0,
    *,
    gain=0.0,
    bundle="hippocampus_mri",
    network="vnet",
    fold=0,
    epochs=6,
    cases=42,
    labels=LABELS,
    world=0,
    spread=0.002,
    parts=("curve", "cost", "levels", "weight_changes", "robustness"),
    **changed,
):
    """A run whose Dice is that of its case, shared by all arms, plus `gain`, plus the chance of training and case."""
    difficulty = np.random.default_rng([world, 1]).normal(0.88, 0.03, (cases, len(labels)))
    rng = np.random.default_rng([world, 2, seed, sum(map(ord, bundle + network + skip)), fold])
    dice = difficulty + gain + rng.normal(0, spread) + rng.normal(0, 0.004, difficulty.shape)
    names = [f"{bundle}_{fold}{number:03d}" for number in range(cases)]
    run = {
        "format": 1,
        "id": f"{bundle}_{network}_{skip}_fold{fold}_seed{seed}_{epochs}epochs_{zlib.crc32(skip.encode()):08x}",
        "settings": make_settings(skip, seed, bundle=bundle, network=network, fold=fold, epochs=epochs),
        "state": "done",
        "reason": "",
        "machine": {
            "cpu": "AMD EPYC",
            "device": "cpu",
            "threads": 1,
            "torch": "2.13.0",
            "monai": "1.6.0",
            "lightskip": "0.1.0",
            "date": f"2026-11-{20 + seed:02d}",
        },
        "cases": {
            "names": names,
            "subjects": names,
            "labels": list(labels),
            "dice": np.clip(dice, 0, 1).round(6).tolist(),
            "hd95": np.maximum(0.3, 1.4 - 4 * (dice - 0.88) + rng.normal(0, 0.05, dice.shape)).round(4).tolist(),
            "nsd": np.clip(dice + 0.08, 0, 1).round(6).tolist(),
        },
    }
    makers = {
        "curve": lambda: make_curve(dice.mean(), epochs, rng),
        "cost": lambda: make_cost(skip, rng),
        "levels": lambda: [{"level": n, "handed_bytes": 2**20 >> n, "kept_bytes": 2**20 >> n} for n in range(3)],
        "weight_changes": lambda: make_changes(skip, epochs, rng),
        "robustness": lambda: make_robustness(skip, names[:10], dice[:10].mean(axis=1)),
        "probes": lambda: [
            {"level": level, "probe": probe, "difference": -0.02 / (level + 1), "interval": [-0.03, -0.001]}
            for level in range(3)
            for probe in ("off", "shuffle")
        ],
        "membranes": lambda: {
            "v_rand": 0.97 + rng.normal(0, 0.004),
            "v_rand_threshold": 0.5,
            "v_info": 0.98,
            "v_info_threshold": 0.4,
            "samples": 1,
        },
    }
    return {**run, **{part: makers[part]() for part in parts}, **changed}


def make_settings(skip, seed, *, bundle="hippocampus_mri", network="vnet", fold=0, epochs=6):
    return {
        "bundle": bundle,
        "plan_sha256": "ab" * 8,
        "datalist_sha256": "ab" * 8,
        "network": network,
        "network_spec": {"name": network},
        "skip": skip,
        "skip_definition": [skip, {}],
        "sparsity": 0.0001,
        "fold": fold,
        "seed": seed,
        "budget": {"epochs": epochs},
        "overrides": {},
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
    }


def make_diverged(skip, seed, **options):
    run = make_run(skip, seed, parts=(), **options)
    del run["cases"]
    return {**run, "state": "diverged", "reason": "the loss became infinite in epoch 3"}


def make_lost(skip, seed, *, reason="the process ended with 137", **options):
    settings = make_settings(skip, seed, **options)
    return {"id": f"lost_{skip}_{seed}", "settings": settings, "reason": reason}


def make_study(skips, *, bundles=("hippocampus_mri",), networks=("vnet",), seeds=(0, 1, 2), baseline="concat"):
    return {
        "name": "sat",
        "question": "Is one attention map as good as the whole feature map?",
        "baseline": baseline,
        "seeds": list(seeds),
        "folds": [0],
        "budget": {"epochs": 6},
        "measure": {"robustness": {"cases": 10}},
        "arms": [{"bundle": one, "networks": list(networks), "skips": list(skips)} for one in bundles],
    }


def make_curve(end, epochs, rng):
    """Loss and Dice that approach their ends, validated every second epoch."""
    points = []
    for epoch in range(1, epochs + 1):
        away = np.exp(-5 * epoch / epochs)
        dice = None if epoch % 2 and epoch < epochs else float(end - 0.4 * away)
        points.append(
            {"epoch": epoch, "samples": 166 * epoch, "minutes": 0.4 * epoch, "loss": float(0.2 + away), "dice": dice}
        )
    return points


def make_cost(skip, rng):
    kept = {"concat": 5_767_168, "sum": 5_767_168, "none": 0}.get(skip, 180_224 + 40_000 * (len(skip) % 7))
    return {
        "parameters": 1_400_000 + kept // 8,
        "step_multiply_adds": 40_000_000_000 + 1000 * kept,
        "window_multiply_adds": 13_000_000_000 + 300 * kept,
        "skip_bytes_handed": kept,
        "skip_bytes_kept": kept,
        "training_peak_bytes": 900_000_000 + 20 * kept,
        "inference_peak_bytes": 200_000_000 + 5 * kept,
        "step_seconds": 0.11 + kept / 1e8 + abs(rng.normal(0, 0.002)),
        "scan_seconds": 0.4 + kept / 1e8,
        "training_seconds": 480.0,
    }


def make_changes(skip, epochs, rng):
    base = np.geomspace(1e-3, 1e-5 if skip == "none" else 3e-4, len(LAYERS))
    values = base * np.linspace(1, 0.1, epochs)[:, None] * rng.lognormal(0, 0.1, (epochs, len(LAYERS)))
    return {"layers": LAYERS, "epochs": list(range(1, epochs + 1)), "values": values.tolist()}


def make_robustness(skip, names, dice):
    """Curves that fall by level, those of `none` half as much."""
    loss = 0.04 if skip == "none" else 0.08
    curves = []
    for name, (unit, levels) in PERTURBATIONS.items():
        by_level = np.stack([np.maximum(0, dice - loss * (at + 1)) for at in range(len(levels))])
        means = by_level.mean(axis=1)
        area = float(np.mean(np.r_[(dice.mean() + means[-1]) / 2, means[:-1]]))
        curves.append(
            {"name": name, "unit": unit, "levels": levels, "dice": means.tolist()}
            | {"case_dice": by_level.tolist(), "area": area}
        )
    return {
        "cases": list(names),
        "dice": float(dice.mean()),
        "case_dice": dice.tolist(),
        "perturbations": curves,
        "area": float(np.mean([one["area"] for one in curves])),
    }
