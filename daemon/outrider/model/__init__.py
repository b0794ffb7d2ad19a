"""What crosses a stage: frozen, slotted data, validated at the edge and trusted inside.

Nothing here does I/O, knows a wire format, or imports a stage.
"""
