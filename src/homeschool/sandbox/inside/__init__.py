"""What runs inside the sandbox: the standard library only, and each other by bare names. See sandbox/world.py."""
