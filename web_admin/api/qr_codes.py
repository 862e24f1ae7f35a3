"""QR codes as data URIs, for programs that show them."""

import base64
import io

import qrcode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.pure import PyPNGImage
from qrcode.image.svg import SvgPathImage

from store.secret import Secret
from web_admin.api.models import QrCode


def draw(text: Secret) -> QrCode:
    """Draw a text, once as SVG and once as PNG."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=4)
    code.add_data(text.text())
    png = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(png)
    svg = code.make_image(image_factory=SvgPathImage).to_string()
    return QrCode(_data_uri("image/svg+xml", svg), _data_uri("image/png", png.getvalue()))


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
