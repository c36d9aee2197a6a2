"""From CSV deliveries to a star schema: what happens to the data, step by step (see pipeline.py)."""
