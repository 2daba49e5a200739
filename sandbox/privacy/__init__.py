"""Privacy: pseudonyms in place of personal data, in copies that are exported."""
