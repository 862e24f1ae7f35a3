"""What the tests stand on: real accounts, PAM services, sshds, clients and databases."""
