"""`sftp-mfa-admin`: what an administrator does to accounts and their factors."""
