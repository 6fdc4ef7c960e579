"""Floor 2: the network as a resolved model: what a renderer, RADIUS or a plan needs to know of a device."""
