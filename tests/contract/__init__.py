"""One suite for every isolation back end."""
