"""A virtual clock, and what the whole service needs to run on it: no sockets, no threads, no waits.

`VirtualLoop` is the event loop; `surroundings` lends the process what else belongs to it.
"""
