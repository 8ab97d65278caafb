"""Segment, as the bridge writes to it: events, batches, client."""
