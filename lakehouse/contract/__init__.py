"""A source's promises about its tables, and the ODCS file that states them."""
