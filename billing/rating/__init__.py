"""Rating: what was used becomes what is billed: usage from accounting, calls from a carrier's records."""
