"""What dunning is besides holds: notices, calendars, hardship, promises in instalments, why an account stands so."""
