"""What dunning is besides holds: notices, calendars, hardship, promises in instalments, and why an account stands so."""
