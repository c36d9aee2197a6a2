"""CSV deliveries -> a star schema. There is one package per stage of the data; pipeline/run.py has their order."""
