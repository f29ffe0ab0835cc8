"""What watching tabs cost the server."""
