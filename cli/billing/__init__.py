"""Further commands of `trunkline billing`: each module here has `add(app)` and imports rooms only inside commands."""
