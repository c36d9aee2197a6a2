"""What a source promises about its tables, and the ODCS file that says so."""
