"""Landed files -> bronze: every record as sent, in Delta tables; what cannot be read goes to `rejected`."""
