"""The whole service on a virtual clock, between a Listrak and a Segment of simulated people."""
