"""The way in through sshd: the helper that the PAM module talks with."""
