"""accel-ppp BNG: see README.md."""
