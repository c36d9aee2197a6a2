"""Landed files -> bronze: every record as sent, in Delta tables. Unreadable records go to `rejected`."""
