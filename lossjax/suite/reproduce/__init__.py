"""The framework of studies: the verb `reproduce`.

`maker` trains and needs jax; a study counts and draws, from fresh rows and from stored
ones alike.
"""
