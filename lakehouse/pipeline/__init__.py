"""Landed batches -> complete marts: the steps in order, what is pending, counts, maintenance, Airflow's calls."""
