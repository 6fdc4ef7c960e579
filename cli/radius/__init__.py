"""Parts of `trunkline radius`."""
