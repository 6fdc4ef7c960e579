"""NAS vendors as data: one YAML table a vendor; adding one edits nothing else."""
