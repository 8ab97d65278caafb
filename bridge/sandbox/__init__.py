"""An emulated Listrak, an emulated Segment, and the world and the judge between them.

Nothing here imports the rest of the package: what both sides misread, no test would notice.
"""
