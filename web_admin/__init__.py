"""The web pages, their server, and the broker that knows about passwords."""
