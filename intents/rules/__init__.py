"""Rules between documents; each module registers its checks."""
