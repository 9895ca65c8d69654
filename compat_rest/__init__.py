"""The predecessor's REST routes, and the only home of their words (matricula, father, sons)."""
