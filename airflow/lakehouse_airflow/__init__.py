"""Shared by the DAGs and plugins: when the steps of lakehouse/ run, and how Airflow shows them."""
