"""The way of the data: poller, mapper, sender, and the ledger that remembers."""
