"""`sftp-mfa doctor`: how a machine stands, in plain words."""
