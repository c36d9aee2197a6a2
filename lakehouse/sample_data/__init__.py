"""Data to run the pipeline on: generated, or the real archive cut into batches."""
