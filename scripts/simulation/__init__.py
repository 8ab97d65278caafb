"""How changes are found, and what that costs: the bridge on a virtual clock, without sockets."""
