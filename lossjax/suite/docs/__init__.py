"""Tables of the documentation, made from the code and the published rows."""
