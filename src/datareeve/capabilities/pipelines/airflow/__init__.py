"""Airflow that people have: their DAGs triggered and watched, and our pipelines written as DAGs of theirs."""
