"""An emulated Listrak, an emulated Segment, the world behind them, and a judge.

Nothing here imports the rest of the package: a misreading common to both sides would pass every
test.
"""
