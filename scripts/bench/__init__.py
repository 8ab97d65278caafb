"""The benchmark: the service as it is installed against the least that could do its work.

All runs read the same pages from one server and post to another, on loopback, in rounds, one run
after the other, so that what disturbs the machine disturbs all of them. Where there are two cores,
the client has one and the servers have the other. Only ratios within one run of this program mean
anything: absolute figures are this machine's, today. The state file lies in the folder for
temporary files (TMPDIR); where that is in memory, durability costs nothing and the figures flatter.
"""
