"""What the broker remembers: the log it goes on from, and the annals for administrators."""
