"""Subscriptions: each event is executed once for all who asked for the same."""
