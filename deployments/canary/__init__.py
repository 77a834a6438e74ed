"""Two versions of one model: a share of the requests of one application is answered by another, its canary.

The canary is an application of its own, so that starting, changing and losing it never touches the stable version:
router.py decides in the stable version, canary.py hands over and falls back, client.py watches the canary and asks it,
handle.py has both ends of the way between the two.
"""
