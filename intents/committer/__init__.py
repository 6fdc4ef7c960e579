"""The committer: the only writer of trunk."""
