"""Floor 0: what every room stands on. Nothing here knows what an Internet service provider is."""
