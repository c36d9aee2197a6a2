"""`make bench`: how fast, and in how much memory. Ratios of two variants within one run, so that machines compare."""
