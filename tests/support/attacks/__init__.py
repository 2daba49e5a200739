"""What the attack suite is made of: probes, the runs that play them, a honeypot, their results."""
