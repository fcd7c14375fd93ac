"""How each of the four sensors writes down what it saw: one file per sensor, each in its sender's own shape."""
