"""The output: lines made and bounded, the words of others made harmless, secrets hidden."""
