"""`make pictures`: write the pictures that the arguments name, or all."""
