"""Links of CAN interfaces: what state they are in, what that means, and who may change it.

Reads `ip`, tells a sleeping bus from a broken one, finds out bit rates, and holds the small privileged helper that
sets links. The daemon itself never sets a link.
"""
