"""What a drive amounts to: trips and 1 Hz telemetry, as pure functions of the engine's output in order."""
