"""What was agreed for a service, and its day: plan changes, ends, vacations, moves, transfers."""
