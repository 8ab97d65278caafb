"""The schedule of polls, and how many are read side by side."""
