"""Agents as LangGraph graphs whose state is plain OpenAI-format messages."""
