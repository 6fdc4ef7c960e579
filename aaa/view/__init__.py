"""The view: who may log in and what a session gets, compiled from intents into byte records."""
