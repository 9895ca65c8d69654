"""Runs documents: prepared once, within limits, by a shorter way than graphql-core's own."""
