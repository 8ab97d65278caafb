"""Which rows of a message are to be read: the narrowest scan that may explain what moved."""
