"""The data flow: poller, mapper, sender, and the ledger that remembers."""
