"""Reads: by id, by page, totals and activity; one statement for whatever size."""
