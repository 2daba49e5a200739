"""The only network a container ever sees: a scenario's own hosts, served and recorded by the engine.

Containers have no interface but loopback. The guest listens there and hands bytes over the control
channel; everything here takes bytes and returns bytes, opens no socket, and fetches nothing from
anywhere.
"""
