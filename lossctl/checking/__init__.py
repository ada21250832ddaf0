"""Whether a loss keeps its promises, a saved result its schema, and a result its gates."""
