"""Isolation: containers with a guest inside, behind one Protocol (see ``base``)."""
