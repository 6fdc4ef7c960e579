"""Linux PPPoE BNG: see README.md."""
