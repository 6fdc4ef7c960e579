"""Floor 7: the `trunkline` command; composes everything."""
