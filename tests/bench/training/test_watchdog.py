"""Four processes of one attempt: whatever happens to one, all leave, and it is known why."""
