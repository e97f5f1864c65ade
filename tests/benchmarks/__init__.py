"""What things cost, as ratios against a peer measured in the same run. No test asserts a timing."""
