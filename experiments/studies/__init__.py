"""Studies: one file each says what is trained and what is concluded from the rows.

Nothing here trains or imports jax: `experiments.reproduce` trains, the studies count
and draw, from fresh rows and from stored ones alike.
"""
