"""What a gateway tells a scorer, and what a scorer may answer."""
