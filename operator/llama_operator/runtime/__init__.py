"""What kopf does not have: a cache that heals, a work queue, a periodic resync."""
