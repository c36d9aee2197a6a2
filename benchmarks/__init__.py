"""How fast, and in how much memory: `make bench`. Ratios of two ways inside one run, so that machines compare."""
