"""The one way to write: operations share a transaction, and are answered after its commit."""
