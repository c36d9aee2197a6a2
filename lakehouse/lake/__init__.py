"""The lake's layers: stores, Delta tables, and the ledger of their batches."""
