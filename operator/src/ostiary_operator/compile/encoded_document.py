"""A document of the contract, encoded once, with its digest."""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ostiary_core.canonical import digest
from ostiary_core.contract.base import ContractDocument
from ostiary_core.contract.documents import PolicyDocument

DocumentT_co = TypeVar("DocumentT_co", bound=ContractDocument, covariant=True)
DocumentT = TypeVar("DocumentT", bound=ContractDocument)


@dataclass(frozen=True, slots=True)
class EncodedDocument(Generic[DocumentT_co]):
    """A document with its canonical JSON as ``text``, and the digest of that."""

    document: DocumentT_co
    digest: str
    text: bytes

    @property
    def size(self) -> int:
        """Bytes of canonical JSON."""
        return len(self.text)


EncodedPolicy: TypeAlias = EncodedDocument[PolicyDocument]


def encode_document(document: DocumentT) -> EncodedDocument[DocumentT]:
    """Encode a document and compute its digest."""
    text = document.canonical()
    return EncodedDocument(document, digest(text), text)
