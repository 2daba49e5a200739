"""Where the parts of a call's arguments came from: which earlier text held them, in what form."""

from sandbox.detectors.provenance.origins import Origin, Origins, Part
from sandbox.detectors.provenance.text_index import Corpus, Held, Source

__all__ = ["Corpus", "Held", "Origin", "Origins", "Part", "Source"]
