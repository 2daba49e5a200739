"""Agents from elsewhere: programs that bring a loop of their own, and often a model of their own.

They come in by two doors. Tools are an MCP server (:mod:`.tools`); the run's model is an endpoint as OpenAI's
(:mod:`.chat`), for programs that are to use it. :mod:`.visit` is what both lead to; :mod:`.doors` opens them on
loopback or on stdin and stdout; :mod:`.drivers` makes scaffolds of them.
"""
