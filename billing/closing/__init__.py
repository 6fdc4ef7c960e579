"""Closing a period: deferred revenue recognised day by day, checks, and the lock that nothing is booked behind."""
