"""How rows become events: pure decisions."""
