"""The door: what is asked, what is answered, and how both are described."""
