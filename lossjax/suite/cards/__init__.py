"""Loss cards and the tables of losses: the verb `losses`."""
