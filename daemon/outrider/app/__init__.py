"""The house: composes the stages, supervises them, answers on the control socket."""
