"""Renderer of a Kea DHCP server: see README.md."""
