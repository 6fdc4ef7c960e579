"""Changes of services that staff agree on with customers: asked for, carried out on their day, landed or taken back."""
