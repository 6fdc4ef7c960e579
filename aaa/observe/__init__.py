"""What a RADIUS node tells of itself: counts and latencies for Prometheus, and a live tail for people."""
