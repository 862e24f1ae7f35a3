"""The command `sftp-mfa-cli`: files over SFTP, with password and code, or an access token."""
