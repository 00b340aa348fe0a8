"""Kill verbs at random moments, start them again, and compare their results with those of an undisturbed run."""

from __future__ import annotations

import random
import shutil

from .compare_results import find_litter
from .started_verbs import start_verb
from .tries import Try
from .verb_table import DisturbedVerb
from .workspace import Workspace

__all__ = ["kill_and_continue"]


def kill_and_continue(workspace: Workspace, verb: DisturbedVerb, number: int, seed: int) -> Try:
    """Kill a verb and its workers at a random moment, then start it again.

    A fault is: a file that is cut off after the kill, a second start that fails, results other than those of a run
    that nothing disturbed, temporary files that stay after the second start.
    """
    whole = workspace.undisturbed(verb).seconds
    moment = random.Random(f"{seed} {number}").uniform(0, whole)
    copy, log = workspace.copy(verb), workspace.folder / "log.txt"
    before = set(find_litter(copy))
    started = start_verb(verb.words, copy, log)
    ended = started.wait(moment)
    outcome = "had ended" if ended else "killed"
    if ended is None:
        started.kill()
        started.wait()
    faults = [f"cut off: {file}" for file in workspace.damage(verb, copy)]
    # Some verbs do not replace a result that is whole: it is compared as it is.
    second = ended
    if second is None:
        again = start_verb(verb.words_again(copy), copy, log)
        second = again.wait()
        if second is None:
            again.kill()
            again.wait()
    if second is None:
        faults.append("the second start hangs")
    elif second.status not in verb.status:
        faults.append(f"the second start ends with {second.status}: {second.text[-300:]}")
    else:
        faults += workspace.differences(verb, copy)
        faults += [f"litter: {name}" for name in find_litter(copy) if name not in before]
    if not faults:
        shutil.rmtree(copy)
    return Try("kill", verb.name, number, f"after {moment:.2f} of {whole:.2f} s", outcome, "; ".join(faults))
