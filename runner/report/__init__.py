"""What a run tells people and CI servers."""
