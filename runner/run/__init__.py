"""A run under way: workers, the scheduler above them, what an earlier run has left."""
