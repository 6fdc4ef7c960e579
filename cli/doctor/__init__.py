"""What `trunkline doctor` looks at: Python, this machine, this node's settings, and the real parts of the lab."""
