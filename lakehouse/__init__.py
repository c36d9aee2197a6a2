"""CSV deliveries -> a star schema: a package per stage of the data, in the order of pipeline/run.py."""
