"""The lake's layers: stores, Delta tables, and what is known of each batch in them."""
