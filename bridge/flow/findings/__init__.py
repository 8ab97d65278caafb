"""Findings of `explain`: the events that follow from what is shown, and what became of each."""
