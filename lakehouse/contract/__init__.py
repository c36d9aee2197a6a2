"""What a source promises of its tables, and the ODCS file in which that is written."""
