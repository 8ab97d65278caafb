"""The choice of what a poll reads: the narrowest scan that may explain how counters moved."""
