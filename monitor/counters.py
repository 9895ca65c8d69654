"""Placeholder until the recount is here."""
