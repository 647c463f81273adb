"""What policies say about the contents of messages, in both directions."""
