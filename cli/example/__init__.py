"""The example network: AARNet's public backbone with an ISP on top; for `init`, the demo, the lab and bench."""
