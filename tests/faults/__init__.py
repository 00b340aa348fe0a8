"""The fault suite: the real commands are killed, starved of disk and memory, and fed with damaged files."""
