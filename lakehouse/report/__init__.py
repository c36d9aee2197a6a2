"""The marts -> figures for people: what the measures of a source mean, and the SQL that computes them."""
