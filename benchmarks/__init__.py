"""`make bench`: how fast, and in how much memory. Ratios of two ways inside one run, so that machines compare."""
