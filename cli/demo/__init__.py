"""`trunkline demo`: the whole loop on loopback, without root, every step with what happened and how long it took."""
