"""A stateful network operating system of our own behind a real SSH server, and the driver that speaks to it."""
