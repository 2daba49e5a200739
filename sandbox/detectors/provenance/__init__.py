"""Where the parts of a call's arguments came from: which earlier text held them, in what form."""

from sandbox.detectors.provenance.origins import Origin, OriginPart, Origins
from sandbox.detectors.provenance.text_index import TextIndex, TextMatch, TextSource

__all__ = ["Origin", "OriginPart", "Origins", "TextIndex", "TextMatch", "TextSource"]
