"""The ends of a process: exit codes, signals, and what hangs."""
