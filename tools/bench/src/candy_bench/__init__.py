"""``make bench``: ratios between the agent and others that do the same work, measured within one run."""
