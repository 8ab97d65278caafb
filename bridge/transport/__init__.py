"""The transport to both servers: HTTP, retries, rates, and who goes first."""
