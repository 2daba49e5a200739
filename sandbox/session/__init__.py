"""Sessions: one run from start to end. They own the gate, the containers and the recorder."""
