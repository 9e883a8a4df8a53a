"""Speed measured against PyTorch, in pairs: the verb `bench`."""
