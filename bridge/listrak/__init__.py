"""Listrak, as the bridge reads it: wire format, times, credentials, client."""
