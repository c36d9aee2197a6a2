"""Delivered CSV files -> the landing layer: checked as a whole, kept as sent, listed in a manifest."""
