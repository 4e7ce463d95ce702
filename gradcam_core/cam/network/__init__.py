"""Which networks are accepted, their inputs and outputs, and passes that leave them unchanged."""
