"""Bronze -> silver: typed rows, one per key and batch. Invalid and superseded rows go to `quarantine` with reasons."""
