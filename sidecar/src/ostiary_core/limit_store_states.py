"""The states of the store in which replicas share the counters of limits.

Gateways observe them, and the operator reports them as LimitStoreReady.
"""

import enum


class StoreState(enum.StrEnum):
    """What a replica knows of its store: that it answers, or why it cannot be used."""

    READY = "LimitStoreReady"
    CONNECTING = "Pending"
    """No attempt to connect has ended yet."""
    TIMEOUT = "StoreTimeout"
    """It accepts connections, and does not answer in time."""
    UNREACHABLE = "StoreUnreachable"
    """No connection to it can be opened, or it closes them."""
    CREDENTIALS_REFUSED = "CredentialsRefused"
    """It refuses the user or the password, or requires them."""
    NOT_PERMITTED = "NotPermitted"
    """The user may not run the commands, or not on the keys, that limits need."""
    CERTIFICATE_REFUSED = "CertificateRefused"
    """Its certificate is not valid for its name, or not of the authorities in the settings."""
    READ_ONLY = "StoreReadOnly"
    """It is a replica of another Redis, or cannot save, and accepts no writes."""
    FULL = "StoreFull"
    """It has no memory left."""
    NO_PRIMARY = "NoPrimary"
    """The Sentinels name no primary, or a part of the Cluster has none."""
    FAILED = "StoreFailed"
    """It answers something else than a Redis or Valkey of a supported version."""
    REFERENCES_MISSING = "ReferencesMissing"
    """The settings name a Secret or a CA bundle that does not exist or cannot be used."""
    CREDENTIAL_MISSING = "CredentialMissing"
    """The gateway's Secret does not have the credentials yet."""
