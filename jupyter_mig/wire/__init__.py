"""What travels between a broker and its clients, and where they meet. Pure: no input or output."""
