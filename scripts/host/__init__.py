"""What the operator's commands know of the machine that they run on."""
