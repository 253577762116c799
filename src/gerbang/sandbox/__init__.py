"""What only the sandbox has: demo data, the control API, the movable clock."""
