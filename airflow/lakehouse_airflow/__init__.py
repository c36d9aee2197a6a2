"""What the DAGs and plugins are made of: when the steps of lakehouse/ run, and how Airflow shows them."""
