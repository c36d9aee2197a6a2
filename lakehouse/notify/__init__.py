"""Ended runs and backfills -> messages to people. Each is noted in the warehouse and sent once, to Slack or the log."""
