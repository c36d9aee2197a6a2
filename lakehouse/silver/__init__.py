"""Bronze -> silver: typed rows, one per key and batch; everything else goes to `quarantine` with its reasons."""
