"""Many dictations at a time: what the server costs beside its model, next to a plain echo.

``server`` is what is measured, in a process of its own; ``client`` the load; ``measure`` brings the
two together and ``summary`` tells what came out.
"""
