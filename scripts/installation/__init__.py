"""`sftp-mfa install` and `sftp-mfa uninstall`: into a machine's sshd and PAM, and out again."""
