"""Ended runs and backfills -> messages to people: noted in the warehouse, sent once, to Slack or to the log."""
