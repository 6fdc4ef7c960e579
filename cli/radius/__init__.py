"""The larger commands of `trunkline radius`, a file each; cli/commands/radius.py puts them together."""
