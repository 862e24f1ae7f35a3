"""A directory's certificate, and its people."""

import secrets
import subprocess
from pathlib import Path

from container_bed import Bed, Person

SSSD = """\
[sssd]
domains = example
services = nss, pam

[domain/example]
id_provider = ldap
auth_provider = ldap
chpass_provider = ldap
access_provider = permit
sudo_provider = none
autofs_provider = none
ldap_uri = ldaps://directory
ldap_search_base = dc=example,dc=com
ldap_tls_cacert = /etc/sssd/ca.pem
ldap_tls_reqcert = demand
case_sensitive = false
cache_credentials = false
ldap_opt_timeout = 4
ldap_network_timeout = 4
offline_timeout = 2
"""

_TREE = """
dn: dc=example,dc=com
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people
"""

_PERSON = """
dn: uid={name},ou=people,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: posixAccount
uid: {name}
cn: {name}
sn: {name}
uidNumber: {uid}
gidNumber: {uid}
homeDirectory: /home/{name}
loginShell: /bin/false
userPassword: {password}

dn: cn={name},ou=people,dc=example,dc=com
objectClass: posixGroup
cn: {name}
gidNumber: {uid}
"""


def prepare(bed: Bed) -> None:
    """Make the CA, the server's certificate and SSSD's configuration, before the bed starts."""
    folder = bed.folder / "directory"
    folder.mkdir(parents=True)
    bed.secrets.mkdir(mode=0o711)
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA"),
        *("-addext", "basicConstraints=critical,CA:TRUE"),
        *("-keyout", folder / "ca.key", "-out", bed.secrets / "directory-ca.pem"),
    )
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=directory"),
        *("-addext", "subjectAltName=DNS:directory", "-addext", "basicConstraints=CA:FALSE"),
        *("-CA", bed.secrets / "directory-ca.pem", "-CAkey", folder / "ca.key"),
        *("-keyout", folder / "directory.key", "-out", folder / "directory.pem"),
    )
    configuration = bed.secrets / "sssd.conf"
    configuration.write_text(SSSD)
    configuration.chmod(0o600)


def fill(bed: Bed) -> None:
    """Make the tree that people are added to."""
    _add(bed, _TREE)


def add_person(bed: Bed, uid: int) -> Person:
    """Add somebody to the directory, with a home on the hosts."""
    person = Person(f"alice{secrets.token_hex(3)}", secrets.token_urlsafe(12))
    _add(bed, _PERSON.format(name=person.name, uid=uid, password=person.password))
    home = f"/srv/sftp/home/{person.name}"
    owner = f"--owner={uid}", f"--group={uid}"
    bed.tool("install", "--directory", "--mode=700", *owner, home)
    return person


def _add(bed: Bed, entries: str) -> None:
    bed.compose(
        "exec", "-T", "directory", "ldapadd", "-QY", "EXTERNAL", "-H", "ldapi:///", given=entries
    )


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
