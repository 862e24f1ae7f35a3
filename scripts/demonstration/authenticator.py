"""Stands in for a phone: codes and QR codes, from the virtual environment's own libraries.

It is run there as a program, with the secret or the URI as a line on standard input.
"""

import sys

import pyotp
import qrcode


def main() -> None:
    """Print the code of a time, in seconds as its clock has it, or with `qr` a QR code."""
    wanted, given = sys.argv[1], sys.stdin.readline().strip()
    if wanted == "qr":
        picture = qrcode.QRCode(border=2)
        picture.add_data(given)
        picture.print_ascii(invert=True)
    else:
        sys.stdout.write(pyotp.TOTP(given).at(int(wanted)))


if __name__ == "__main__":
    main()
