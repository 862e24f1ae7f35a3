"""A QR code as an SVG element without style attributes, which our policy forbids."""

import qrcode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.svg import SvgPathImage

from store.secret import Secret


def qr_code(text: Secret) -> str:
    """Draw a text."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=4, image_factory=SvgPathImage)
    code.add_data(text.text())
    drawn = code.make_image().to_string(encoding="unicode")
    return str(drawn)
