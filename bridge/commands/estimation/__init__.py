"""What `estimate` asks of an account, and how it shows what comes of it."""
