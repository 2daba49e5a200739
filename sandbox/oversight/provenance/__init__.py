"""Where the parts of a call's arguments came from: which earlier text held them, in what form."""

from sandbox.oversight.provenance.corpus import Corpus, Held, Source
from sandbox.oversight.provenance.origins import Origin, Origins, Part

__all__ = ["Corpus", "Held", "Origin", "Origins", "Part", "Source"]
