"""Landed files -> bronze: records as sent, in Delta tables. Unreadable ones, and no data, go to `rejected`."""
