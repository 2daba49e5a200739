"""Models behind one Protocol: LiteLLM for every provider, scripted trajectories, cassettes."""
