"""`raw_<source>` -> the star schema: dbt's builds, their progress, and dbt's documentation."""
