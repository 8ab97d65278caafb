"""The mapping of rows to events: pure decisions."""
