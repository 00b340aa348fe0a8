"""`lightskip cohort`: segment many scans with `lightskip predict --shard`, as jobs on this machine or on a cluster."""
