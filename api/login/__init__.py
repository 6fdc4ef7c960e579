"""Logging in to the console: `link(context, actor, role)` makes an address that works once."""

from api.login.links import link

__all__ = ["link"]
