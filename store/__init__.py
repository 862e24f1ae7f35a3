"""The shared store: accounts, factors, decisions and audit, and every rule about them."""
