"""One use case a module: a spec in, a report out."""
