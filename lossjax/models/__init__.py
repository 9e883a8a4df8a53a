"""Autoencoders, their variants, corruption, and how convolutions are computed."""
