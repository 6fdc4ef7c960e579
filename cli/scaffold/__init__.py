"""What `trunkline init` writes around a network: settings, schemas for editors, the pipeline, a README."""
