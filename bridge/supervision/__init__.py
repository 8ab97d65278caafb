"""The supervision of a run: whether it moves, who is told, and what is built anew."""
