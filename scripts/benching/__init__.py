"""What scripts/bench measures, one module a subject, and the page that it writes."""
