"""What the bridge remembers: the state file, table by table."""
