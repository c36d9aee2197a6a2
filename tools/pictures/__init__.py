"""Contract, dbt, runs and pages -> docs/pictures: every picture of the README. `make pictures` says what it needs.

diagrams.py      the models of source, marts and Power BI, drawn by Graphviz (drawn.py), and architecture.py
archive.py       the archive, run on this machine: the end of the run, the report, figures.json
stack.py         the archive through a stack: pages of Airflow, MinIO, Spark and dbt, and what commands print
terminal.py      a command's output as a picture
browser.py       pages as pictures
album.py         the list of the pictures, with day and version of each

A picture of a moment is taken again when it should show something new. A test fails when the source of a diagram has
changed since it was drawn.
"""
