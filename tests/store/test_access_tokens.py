"""Access tokens: what they look like, whom they let in, and what is kept of them."""

import hashlib
import re
import string
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from harness.stores import ADDRESS, ROOT, Clock, OpenStore, attempt
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from store.access_tokens import AccessToken, Scope, parse
from store.clock import from_milliseconds
from store.decisions import Decision, Denied, Granted, Protocol, Reason
from store.errors import NotFoundError, RequestError
from store.opening import Store
from store.schema import access_tokens
from store.secret import Secret

FORMAT = re.compile(r"smfa_([0-9A-Za-z]{8})([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
EXAMPLE_BODY = "smfa_" + "AbCdEfG8" + "0123456789abcdefghijABCDEFGHIJ0123456789abc"


def checksum(body: str) -> str:
    """Compute the last six characters of a token, by the format's description."""
    number, characters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        characters = ALPHABET[digit] + characters
    return characters


EXAMPLE = EXAMPLE_BODY + checksum(EXAMPLE_BODY)


def issue(store: Store, account: str = "alice", **options: Any) -> tuple[Secret, AccessToken]:
    """Issue a token."""
    return store.access_tokens.issue(account, options.pop("name", "nightly"), ROOT, **options)


def use(store: Store, token: Secret, account: str = "alice", **how: Any) -> Decision | None:
    """Give a token in place of a password."""
    return store.authentication.check_token(attempt(account, **how), token)


def accepted(token: AccessToken) -> Decision:
    """Expect a token to let in."""
    return Granted(Reason.TOKEN_ACCEPTED, token.id)


def refused(reason: Reason, token: AccessToken) -> Decision:
    """Expect a token to be known, and refused."""
    return Denied(reason, token.id)


# What a token looks like


def test_token_has_the_documented_form(store: Store) -> None:
    """Prefix, 8 characters of public id, 43 of secret and 6 of checksum; letters and digits."""
    secret, token = issue(store)
    match = FORMAT.fullmatch(secret.text())
    assert match is not None
    assert match[1] == token.id
    assert match[3] == checksum(secret.text()[:-6])


def test_token_is_taken_apart() -> None:
    """The id is public; of the secret only its digest goes further."""
    presented = parse(EXAMPLE)
    assert presented is not None
    assert presented.id == "AbCdEfG8"
    assert presented.digest == hashlib.sha256(EXAMPLE[13:56].encode()).digest()


def test_every_single_changed_character_makes_it_no_token() -> None:
    """A checksum of 32 bits finds each slip of the keyboard."""
    for place in range(len(EXAMPLE)):
        for character in ALPHABET + "_-ü":
            if character != EXAMPLE[place]:
                assert parse(EXAMPLE[:place] + character + EXAMPLE[place + 1 :]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "0",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.upper(),
        lambda token: token.replace("smfa_", "smfb_"),
        lambda token: token[:13] + token[14:20] + token[13] + token[20:],
    ],
)
def test_cut_lengthened_or_reordered_it_is_no_token(change: Any) -> None:
    """What differs in more than a character is no token either."""
    assert parse(change(EXAMPLE)) is None


def of_length(length: int) -> st.SearchStrategy[str]:
    """Draw letters and digits."""
    draw = st.binary(min_size=length, max_size=length)
    return draw.map(lambda raw: "".join(ALPHABET[byte % 62] for byte in raw))


@given(st.text() | of_length(57).map("smfa_".__add__))
def test_parse_takes_any_text(text: str) -> None:
    """A password is no token, whatever characters it is made of."""
    assert parse(text) is None


@given(of_length(8), of_length(43))
def test_parse_takes_every_right_form(token_id: str, secret: str) -> None:
    """Every id and secret with its checksum is a token."""
    body = f"smfa_{token_id}{secret}"
    presented = parse(body + checksum(body))
    assert presented is not None
    assert presented.id == token_id


def test_tokens_differ_in_id_and_secret(store: Store) -> None:
    """Two tokens have nothing in common but their prefix."""
    one, other = issue(store)[0].text(), issue(store)[0].text()
    assert one[5:13] != other[5:13]
    assert one[13:56] != other[13:56]


def test_new_token_never_takes_the_id_of_another(open_store: OpenStore) -> None:
    """Where chance gives an id twice, the second is drawn again."""
    drawn = iter([b"\1" * 8, b"\2" * 32, b"\1" * 8, b"\3" * 8, b"\4" * 32])
    store = open_store(randomness=lambda _: next(drawn))
    (_, first), (_, second) = issue(store), issue(store)
    assert first.id != second.id


def test_secret_has_256_random_bits(open_store: OpenStore) -> None:
    """And the id 64; whoever has seen a token knows nothing of the next one."""
    asked = []

    def give(length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    issue(open_store(randomness=give))
    assert asked == [8, 32]


# What is kept of it


def test_store_holds_only_a_digest_of_the_secret(store: Store) -> None:
    """Who reads the database finds nothing that would let him in."""
    secret, token = issue(store)
    middle = secret.text()[13:56]
    with store.units.database.read() as connection:
        row = connection.execute(select(access_tokens)).one()
        everything = [
            repr(connection.execute(text(f'SELECT * FROM "{name}"')).all())  # noqa: S608
            for name in access_tokens.metadata.tables
        ]
    assert row.id == token.id
    assert row.digest == hashlib.sha256(middle.encode()).digest()
    assert middle not in "".join(everything)


def test_secret_is_shown_at_creation_only(store: Store) -> None:
    """Neither what is given beside it nor any list has it; nor does its repr."""
    secret, token = issue(store)
    shown = repr([token, store.access_tokens.list("alice"), secret])
    assert secret.text()[13:56] not in shown


def test_what_was_asked_for_is_what_is_listed(store: Store, clock: Clock) -> None:
    """A list says for what, from where and until when each token is good; newest first."""
    expires = from_milliseconds(clock()) + timedelta(days=30)
    _, old = issue(store, name="old")
    clock.move(1)
    _, new = issue(
        store,
        name="  back   up ",
        scopes=(Scope.SFTP, Scope.API, Scope.API),
        networks=("192.0.2.7/24", "2001:DB8::/32"),
        expires_at=expires,
    )
    issue(store, "bob")
    assert store.access_tokens.list("alice") == [new, old]
    assert new.name == "back up"
    assert set(new.scopes) == {Scope.SFTP, Scope.API}
    assert new.networks == ("192.0.2.0/24", "2001:db8::/32")
    assert (new.created_at, new.expires_at) == (from_milliseconds(clock()), expires)
    assert (new.last_used_at, new.last_used_address) == (None, None)
    assert old.scopes == (Scope.SFTP,)


def test_newest_token_is_listed_first(store: Store, clock: Clock) -> None:
    """Whatever their ids are."""
    names = [f"job {number}" for number in range(6)]
    for name in names:
        issue(store, name=name)
        clock.move(1)
    assert [token.name for token in store.access_tokens.list("alice")] == names[::-1]


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\0b", "a\x1b[2Jb", "a\u202eb"])
def test_name_that_could_deceive_is_refused(store: Store, name: str) -> None:
    """A name is short and printable."""
    with pytest.raises(RequestError, match="64 printable"):
        issue(store, name=name)


def test_token_without_scope_is_refused(store: Store) -> None:
    """It would open nothing."""
    with pytest.raises(RequestError, match="scope"):
        issue(store, scopes=())


@pytest.mark.parametrize("network", ["", "everywhere", "192.0.2.0/33", "192.0.2", "::/129"])
def test_what_is_no_network_is_refused(store: Store, network: str) -> None:
    """A misspelt network must not become a token for everywhere."""
    with pytest.raises(RequestError, match="is not a network"):
        issue(store, networks=(network,))
    assert store.access_tokens.list("alice") == []


def test_more_networks_than_can_be_kept_are_refused(store: Store) -> None:
    """It is the request that is wrong, on each database, not the store that is broken."""
    networks = tuple(f"2001:db8:{number:x}::/48" for number in range(200))
    with pytest.raises(RequestError, match="networks"):
        issue(store, networks=networks)


def test_as_many_networks_as_can_be_kept_are_taken(store: Store) -> None:
    """To the last character."""
    networks = (*["255.255.255.255"] * 53, "255.255.255.25")
    _, token = issue(store, networks=networks)
    assert len(" ".join(token.networks)) == 1024
    with pytest.raises(RequestError, match="1024 characters at most"):
        issue(store, networks=(*networks[:-1], "255.255.255.255"))


def test_end_that_is_over_is_refused(store: Store, clock: Clock) -> None:
    """A token that never was good would only surprise."""
    with pytest.raises(RequestError, match="expired"):
        issue(store, expires_at=from_milliseconds(clock()))


# Whom it lets in


def test_token_lets_in_again_and_again(store: Store) -> None:
    """It needs no code and is not used up."""
    secret, token = issue(store)
    assert [use(store, secret) for _ in range(3)] == [accepted(token)] * 3


def test_password_is_not_taken_for_a_token(store: Store) -> None:
    """Whatever has not the form is left to who knows passwords, and nothing is recorded."""
    issue(store)
    assert use(store, Secret.of("correct horse")) is None
    assert use(store, Secret(b"\xff\xfe")) is None
    assert use(store, Secret.of(EXAMPLE[:-1])) is None


def test_unknown_token_is_refused(store: Store) -> None:
    """The right form alone opens nothing."""
    assert use(store, Secret.of(EXAMPLE)) == Denied(Reason.TOKEN_UNKNOWN)


def test_right_id_with_another_secret_is_refused(store: Store) -> None:
    """The id is public: the secret decides, and who has it not learns nothing from the reason."""
    secret, token = issue(store)
    issued = secret.text()
    body = issued[:13] + issued[13:56].swapcase()
    assert use(store, Secret.of(body + checksum(body))) == Denied(Reason.TOKEN_UNKNOWN)
    store.access_tokens.revoke("alice", token.id, ROOT)
    assert use(store, Secret.of(body + checksum(body))) == Denied(Reason.TOKEN_UNKNOWN)


def test_token_of_another_account_is_refused(store: Store) -> None:
    """It opens the account that it was issued to, and its reason tells a stranger nothing."""
    secret, token = issue(store, "bob")
    assert use(store, secret, "alice") == Denied(Reason.TOKEN_UNKNOWN)
    assert use(store, secret, "bob") == accepted(token)


@pytest.mark.parametrize(
    ("scopes", "doors"),
    [
        ((Scope.SFTP,), {Protocol.SSH}),
        ((Scope.API,), {Protocol.API}),
        ((Scope.SFTP, Scope.API), {Protocol.SSH, Protocol.API}),
    ],
)
def test_token_opens_the_doors_of_its_scopes_only(
    store: Store, scopes: tuple[Scope, ...], doors: set[Protocol]
) -> None:
    """The web pages and the host's own commands take no token at all."""
    secret, token = issue(store, scopes=scopes)
    for protocol in Protocol:
        expected = (
            accepted(token) if protocol in doors else refused(Reason.TOKEN_OUT_OF_SCOPE, token)
        )
        assert use(store, secret, protocol=protocol) == expected


NETWORKS = [
    ((), "192.0.2.7", True),
    ((), None, True),
    (("192.0.2.0/24",), "192.0.2.255", True),
    (("192.0.2.0/24",), "192.0.3.0", False),
    (("192.0.2.7",), "192.0.2.7", True),
    (("192.0.2.7",), "192.0.2.8", False),
    (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
    (("192.0.2.0/24",), "::ffff:192.0.3.7", False),
    (("192.0.2.0/24",), "::192.0.2.7", False),
    (("::ffff:192.0.2.0/120",), "192.0.2.7", True),
    (("::ffff:192.0.2.0/120",), "::ffff:192.0.2.7", True),
    (("::ffff:192.0.2.0/120",), "192.0.3.7", False),
    (("::ffff:0:0/96",), "192.0.2.7", True),
    (("2001:db8::7",), "2001:db8::7", True),
    (("2001:db8::7",), "2001:db8::8", False),
    (("2001:db8::/32",), "2001:db8::1", True),
    (("2001:db8::/32",), "2001:db9::1", False),
    (("2001:db8::/32",), "192.0.2.7", False),
    (("fe80::/10",), "fe80::1%eth0", True),
    (("198.51.100.0/24", "2001:db8::/32"), "2001:db8::1", True),
    (("0.0.0.0/0",), "192.0.2.7", True),
    (("0.0.0.0/0",), "2001:db8::1", False),
    (("::/0",), "2001:db8::1", True),
    (("::/0",), "192.0.2.7", False),
    (("192.0.2.0/24",), None, False),
    (("192.0.2.0/24",), "", False),
    (("192.0.2.0/24",), "UNKNOWN", False),
    (("192.0.2.0/24",), "192.0.2.7 ", False),
    (("192.0.2.0/24",), "3221225991", False),
    (("192.0.2.0/24",), "localhost", False),
]
"""What a token has, where it comes from, and whether that is right."""


def test_token_is_good_from_its_networks_only(store: Store) -> None:
    """Where it has networks, an address that is outside, missing or no address is refused."""
    for networks, address, allowed in NETWORKS:
        secret, token = issue(store, networks=networks)
        elsewhere = refused(Reason.TOKEN_FROM_OTHER_NETWORK, token)
        expected = accepted(token) if allowed else elsewhere
        assert use(store, secret, address=address) == expected, (networks, address)
        store.access_tokens.revoke("alice", token.id, ROOT)


def test_token_expires_to_the_millisecond(store: Store, clock: Clock) -> None:
    """It is good until its end, and no longer."""
    secret, token = issue(store, expires_at=from_milliseconds(clock() + 1000))
    clock.move(0.999)
    assert use(store, secret) == accepted(token)
    clock.move(0.001)
    assert use(store, secret) == refused(Reason.TOKEN_EXPIRED, token)


def test_revoked_token_is_refused_for_good(store: Store, clock: Clock) -> None:
    """From the revocation on nothing brings it back, and it is not listed."""
    secret, token = issue(store)
    other_secret, other = issue(store)
    store.access_tokens.revoke("alice", token.id, ROOT)
    assert use(store, secret) == refused(Reason.TOKEN_REVOKED, token)
    clock.move(hours=-48)
    assert use(store, secret) == refused(Reason.TOKEN_REVOKED, token)
    assert use(store, other_secret) == accepted(other)
    assert [listed.id for listed in store.access_tokens.list("alice")] == [other.id]


def test_only_the_owners_live_token_can_be_revoked(store: Store) -> None:
    """Nobody ends another's token, and a second time is an error that says so."""
    secret, token = issue(store)
    for account, token_id in [("bob", token.id), ("alice", "nothere1"), ("nobody", token.id)]:
        with pytest.raises(NotFoundError, match=f"{account} has no access token {token_id}"):
            store.access_tokens.revoke(account, token_id, ROOT)
    assert use(store, secret) == accepted(token)
    store.access_tokens.revoke("alice", token.id, ROOT)
    with pytest.raises(NotFoundError):
        store.access_tokens.revoke("alice", token.id, ROOT)


def test_barred_accounts_token_is_refused(store: Store) -> None:
    """Barring closes this door too, and unbarring opens it."""
    secret, token = issue(store)
    store.accounts.bar("alice", ROOT)
    assert use(store, secret) == refused(Reason.ACCOUNT_BARRED, token)
    store.accounts.unbar("alice", ROOT)
    assert use(store, secret) == accepted(token)


def test_account_with_a_live_token_is_known_to_have_one(store: Store) -> None:
    """The prompt is ours as long as a token could be given at it."""
    issue(store, "bob")
    store.authentication.refuse_password(attempt())
    assert not store.authentication.factors_of("alice").tokens
    _, token = issue(store)
    assert store.authentication.factors_of("alice").tokens
    store.access_tokens.revoke("alice", token.id, ROOT)
    assert not store.authentication.factors_of("alice").tokens


# When it was used last


def last_use(store: Store) -> tuple[datetime | None, str | None]:
    """Give what is listed of the one token's last use."""
    (token,) = store.access_tokens.list("alice")
    return token.last_used_at, token.last_used_address


def test_last_use_is_kept_to_the_minute(store: Store, clock: Clock) -> None:
    """The first use is noted at once, further ones a minute later: logins stay cheap."""
    secret, _ = issue(store)
    first = from_milliseconds(clock())
    use(store, secret)
    clock.move(59)
    use(store, secret)
    assert last_use(store) == (first, ADDRESS)
    clock.move(1)
    use(store, secret)
    assert last_use(store) == (from_milliseconds(clock()), ADDRESS)


def test_use_from_another_address_is_noted_at_once(store: Store, clock: Clock) -> None:
    """Who looks for a stolen token sees the address that it was used from last."""
    secret, _ = issue(store)
    use(store, secret, address="192.0.2.1")
    clock.move(1)
    use(store, secret, address="192.0.2.2")
    assert last_use(store) == (from_milliseconds(clock()), "192.0.2.2")


def test_last_use_goes_back_with_the_clock(store: Store, clock: Clock) -> None:
    """A clock that ran ahead for a while does not keep later uses from being noted."""
    secret, _ = issue(store)
    clock.move(hours=24 * 365)
    use(store, secret)
    clock.move(hours=-24 * 365)
    use(store, secret)
    assert last_use(store)[0] == from_milliseconds(clock())


def test_refused_token_is_not_noted_as_used(store: Store) -> None:
    """A use is a login that was let in."""
    secret, _ = issue(store, networks=("198.51.100.0/24",))
    use(store, secret)
    assert last_use(store) == (None, None)
