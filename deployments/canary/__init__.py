"""Two versions of one model: the canary, another application, answers a share of the requests.

The canary is an application of its own, so that starting, changing and losing it never touches the stable version.
router.py decides in the stable version, canary.py passes requests on and falls back, client.py watches the canary and
asks it, and handle.py has both ends of the call.
"""
