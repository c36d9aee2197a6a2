"""What the DAGs and plugins share: when the steps of lakehouse/ run, and how Airflow shows them."""
