"""The guest: the one process inside a container that runs tools and reports what they did.

Standard library only, and it imports nothing of the rest of ``sandbox``: it is sent over the
control channel at start (see ``sandbox.isolation.guest_payload``), so the same code runs on every back
end, on an image that knows nothing of it.

A container is started for every run, so what is imported here is paid for each time: no ``typing``,
``dataclasses``, ``subprocess`` or ``hashlib`` at import (38 ms together, the whole rest takes 10).
"""
