"""The delivery of events to Segment."""
