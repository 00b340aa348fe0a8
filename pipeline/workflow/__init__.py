"""Run many jobs with Snakemake, on this machine or on a cluster: the engine of `lightskip cohort` and `study`.

A verb brings a Snakefile as package data, and calls `run.run_workflow`::

    outcome = run_workflow(
        Path(__file__).with_name("Snakefile"),
        folder=output,                # where the jobs run; it also keeps .workflow and .snakemake
        targets=["runs/a.json"],      # the files to make, relative to the folder; Snakefile: config["targets"]
        config={"jobs": {...}},       # anything JSON, for the Snakefile
        jobs=2, threads=1,            # jobs at the same time, threads of the largest one
        profile=None,                 # local, slurm, kubernetes, or a folder: see profiles/
        retries=0,                    # how often a failed job is tried again
        on_event=progress,            # called with an `events.Event`; `progress.Progress` prints lines
    )
    outcome.failed                    # jobs that failed: target, log; the other jobs have run
    outcome.missing                   # targets that are not there

``on_event`` needs the workflow's folder for its logs: ``Progress(say, folder=output, attempts=1 + retries)``.
`lock.lock_workflow` holds the folder's lock around work of the caller's before and after: pass its result as ``locks``.

A Snakefile finds in its ``config``, besides the caller's keys:

- ``targets``: the input of its first rule, which is called ``all``;
- ``job``: the start of a job's command. A rule's ``shell`` is ``{JOB} LOCK VERB WORDS... > {log} 2>&1``;
- ``locks``: the folder of LOCK, a file of each job's own, which it holds: a job that runs already is not started again.
  A rule writes ``{output}`` itself, such as by ``cp``, if the workflow shall run without a shared folder (Kubernetes).

It reads no other file and imports nothing of LightSkip: it is copied into the folder, where other machines find it.

A second start makes the targets that are missing or were begun. Two starts at once, unknown profiles and missing
packages are an InputError. An interrupt ends all jobs, and is raised again.
"""
