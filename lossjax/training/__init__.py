"""The compiled program that trains and scores many replicas at once."""
