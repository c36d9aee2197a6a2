"""report/ and dbt's yml files -> powerbi/: a Power BI project (model in TMDL, report in PBIR), alike for each run."""
