"""Silver -> `raw_<source>` in the warehouse: a batch is published in one transaction."""
