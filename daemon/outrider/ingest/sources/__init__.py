"""Where messages come from: a broker's subscription, or the stream of a NATS cluster."""
