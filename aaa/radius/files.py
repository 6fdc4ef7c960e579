"""Descriptors: as many as the machine lets a worker have, and how many of them strangers may hold."""

import resource
from contextlib import suppress

_SOFT_MOST = 65_536


def use_files() -> None:
    """Raise the soft limit of open files towards the hard one: 4,000 NASes by RadSec need more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SOFT_MOST if hard == resource.RLIM_INFINITY else min(hard, _SOFT_MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def for_strangers(most: int) -> int:
    """How many connections may be open of those who have not shown a certificate: a quarter of what is allowed."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft // 4))
