"""Everything at work on one machine, for somebody who wants to see it: `scripts/quickstart`.

It runs from the checkout and needs no more than Python's own library: the same program must be
able to clear away what a start left behind that got no further than a half-made environment.
"""
