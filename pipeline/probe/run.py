"""The work of ``lightskip probe``: measure a trained network with probed skips, and write what its skips transfer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..bundle.launch import Launch, prepare
from ..bundle.words import as_words
from ..data.errors import InputError
from .donors import assign_donors, infer_with_donor
from .gates import GateMeans, describe_inner_selections, watch_gates
from .levels import Level, find_levels, select_levels
from .maps import write_maps
from .observe import Observation, observe_skips
from .output import require_free, whole_folder
from .probes import DEFAULT_PROBES, Probe, parse_probes
from .results import Measured, Results
from .session import Session
from .transfers import Transfer, keep_maps, replace_transfer, switch_off, take_mean

__all__ = ["ProbeResult", "probe_bundle"]

MAX_DEFAULT_CASES = 3  # cases whose maps are written, if the user names none
# The probes of one run: each level with its probes.
Planned = list[tuple[Level, Probe]]


@dataclass(frozen=True)
class ProbeResult:
    """The result of a run.

    Attributes:
        results: the numbers; None if only maps were written.
        notes: lines about probes that were left out, and why.
        weights: a line that names the weights; empty if the user named their file.
        files: the files that were written.
    """

    results: Results | None
    notes: tuple[str, ...]
    weights: str
    files: tuple[Path, ...]


def probe_bundle(
    bundle: str | Path,
    output: str | Path,
    *,
    checkpoint: str | Path | None = None,
    training: str | None = None,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    probes: Sequence[str] = DEFAULT_PROBES,
    levels: Sequence[int] | None = None,
    maps: bool = False,
    cases: Sequence[str] = (),
    seed: int = 0,
    settings: Sequence[str] = (),
) -> ProbeResult:
    """Probe the skip connections of a trained network on the validation cases of its fold.

    Cases, pre-processing, windows, post-processing and metrics are those of ``lightskip evaluate``, so the untouched
    network has its Dice. Nothing is trained, and no weights change. All files are written at the end, or none.

    Args:
        bundle: the bundle's folder, with rendered configs.
        output: folder to write; it must not exist, or be empty.
        checkpoint: file of the weights; None: those that ``lightskip evaluate`` would take.
        training: training whose weights are probed instead, by name or path.
        fold: fold whose cases are measured; None: the config's, or the training's.
        dataset_dir: the dataset's folder; None: the config's.
        probes: names of the probes, see `parse_probes`.
        levels: levels to probe, 0 is the finest; None: all with a skip.
        maps: whether to write what each level transfers, as NIfTI and as a picture.
        cases: names of the cases for `maps`; the first three if there are none.
        seed: seed of the exchange between cases and of the intervals.
        settings: further overrides of the config, as ``KEY=VALUE``.

    Raises:
        InputError: the bundle, weights, cases, levels or probes cannot be used, or the output folder has files.
    """
    output = Path(output).expanduser()
    require_free(output)
    wanted = parse_probes(probes)
    if not (wanted or maps):
        raise InputError("--probes none", found="no --maps", expected="something to do", remedy="add --maps")
    if cases and not maps:
        raise InputError("--cases", found="no --maps", expected="cases whose maps are written", remedy="add --maps")
    launch = _prepare(Path(bundle).expanduser(), output, checkpoint, training, fold, dataset_dir, settings)
    session = Session(launch)
    try:
        every = find_levels(session.network, session.weights)
        total = len(session.network.skips())  # type: ignore[operator]
        chosen = select_levels(every, levels, total)
        shown = session.find_cases(cases) if cases else list(range(len(session.names)))[:MAX_DEFAULT_CASES]
        with torch.no_grad(), whole_folder(output) as folder:
            results, notes = _measure(session, every, chosen, wanted, seed) if wanted else (None, [])
            files = results.write(folder) if results is not None else []
            if maps:
                files += write_maps(session, chosen, shown, folder)
    finally:
        session.close()
    written = tuple(output / file.relative_to(folder) for file in files)
    return ProbeResult(results, tuple(notes), launch.note.strip(), written)


def _prepare(
    bundle: Path,
    output: Path,
    checkpoint: str | Path | None,
    training: str | None,
    fold: int | None,
    dataset_dir: str | Path | None,
    settings: Sequence[str],
) -> Launch:
    # Without an output folder it would be one in the bundle, which may be read-only.
    given = {
        "output_dir": output,
        "checkpoint": checkpoint,
        "training": training,
        "fold": fold,
        "dataset_dir": dataset_dir,
    }
    words = as_words({key: str(value) for key, value in given.items() if value is not None})
    return prepare("evaluate", bundle, [*words, *(f"--{setting}" for setting in settings)])


def _measure(
    session: Session, every: Sequence[Level], chosen: Sequence[Level], probes: Sequence[Probe], seed: int
) -> tuple[Results, list[str]]:
    """Measure the untouched network, observe its skips, then measure it with each probe at each level."""
    number = len(session.names)
    with tqdm(total=2 * number, desc="observing", disable=None) as bar:
        measured, observed, gates = _observe(session, chosen, bar.update)
    planned, notes = _plan(chosen, probes, observed, cases=number)
    donors = assign_donors(number, seed) if any(probe.kind == "shuffle" for _, probe in planned) else None
    with tqdm(total=number * len(planned), desc="probing", disable=None) as bar:
        for index in range(number):
            case = session.read_case(index)
            donor = session.read_case(donors[index]).image[0] if donors is not None else None
            for level, probe in planned:
                infer = _probed(session, level, probe, observed[level.number], donor)
                dice = session.measure(case, session.segment(case, infer))
                measured.append(Measured(case.name, level.number, probe.name, dice))
                bar.update()
    names = session.names
    return (
        Results(
            cases=tuple(names),
            levels=tuple(chosen),
            planned=tuple((level.number, probe.name) for level, probe in planned),
            measured=tuple(measured),
            observed=observed,
            gates=gates,
            inside=_describe_inside(session, every, gates),
            donors={} if donors is None else {name: names[donors[index]] for index, name in enumerate(names)},
            seed=seed,
            provenance=session.provenance,
            regions=tuple(session.regions or ()),
        ),
        notes,
    )


def _describe_inside(session: Session, every: Sequence[Level], gates: GateMeans) -> dict[str, Any]:
    """Return what the network has outside of its skips; see `Results.inside`."""
    skips = tuple(level.name for level in every)
    return {
        "recalibration": {name: mean for name, mean in gates.means().items() if not name.startswith(skips)},
        "inner_selections": describe_inner_selections(session.network, every),
    }


def _observe(
    session: Session, levels: Sequence[Level], done: Callable[[], Any]
) -> tuple[list[Measured], dict[int, Observation], GateMeans]:
    measured: list[Measured] = []
    gates = GateMeans()
    observed = {level.number: Observation() for level in levels}
    for index in range(len(session.names)):
        case = session.read_case(index)
        # Untouched in every bit: an observed skip may join in another order of sums.
        measured.append(Measured(case.name, None, "", session.measure(case, session.segment(case))))
        done()
        with observe_skips(levels, observed), watch_gates(session.network, gates):
            session.inferer(case.image, session.network)
        done()
    return measured, observed, gates


def _plan(
    levels: Sequence[Level], probes: Sequence[Probe], observed: dict[int, Observation], *, cases: int
) -> tuple[Planned, list[str]]:
    """Return the probes that make sense at each level, and a line for each that does not."""
    planned: Planned = []
    notes: list[str] = []
    for probe in probes:
        if probe.kind == "shuffle" and cases < 2:
            notes.append("shuffle left out: it needs two cases, and the fold has one")
            continue
        for level in levels:
            available = observed[level.number].maps
            if probe.maps is not None and probe.maps >= available:
                plural = "s" if available > 1 else ""
                notes.append(f"level {level.number}: {probe.name} left out, as its skip has {available} map{plural}")
            else:
                planned.append((level, probe))
    if not planned:
        raise InputError(
            "--probes",
            found="; ".join(notes),
            expected="a probe that takes something away",
            remedy="name others, such as off and mean",
        )
    planned.sort(key=lambda one: one[0].number)
    return planned, notes


def _probed(
    session: Session, level: Level, probe: Probe, observation: Observation, donor: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """Return the function that maps an image (1, C, *spatial) to the logits of the probed network."""
    if probe.kind == "shuffle":
        assert donor is not None
        return lambda image: infer_with_donor(session.inferer, session.network, level.skip, image, donor)
    change: Callable[[Transfer], Transfer]
    match probe.kind:
        case "off":
            change = switch_off
        case "mean":
            change = take_mean
        case "maps":
            change = keep_maps(observation.order[: probe.maps], kept_maps=observation.kept_maps)
        case other:
            msg = f"no function changes what a skip transfers for the probe {other}"
            raise AssertionError(msg)

    def infer(image: Tensor) -> Tensor:
        with replace_transfer(level.skip, change):
            logits: Tensor = session.inferer(image, session.network)
        return logits

    return infer
