"""Oversight: monitors that judge every call, and the gate that every call passes."""
