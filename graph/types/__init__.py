"""The object types: what clients see of entities, pages and figures."""
