"""Cars lost at speed, and ordinary driving that looks like it: a simulated world that scores the receiver's dead-man.

world    what is assumed, each number with its source or named as a prior
road     roads with their curves, speeds and radio field
drive    one drive over a road: where, when, how fast, and when the radio was gone
link     what becomes of its beacons on the way: held up, lost, delivered
watch    the seam to what is scored
run      a fleet driving for long, silences and losses recorded with their scores
summary  found against false over the threshold
page     docs/reference/lost.md

Rule: the world knows nothing of the detector, and was fixed before the detector was tuned. Pure; a seed decides all.
"""
