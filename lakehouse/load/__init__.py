"""Silver -> `raw_<source>` in the warehouse: each batch is published in one transaction."""
