"""The reasons of LimitStoreReady: what gateways find when they count in a store."""

from typing import Final

from ostiary_core.limit_store_states import StoreState
from ostiary_operator.api.reasons import NOTHING, WAIT, Reason

_MEANWHILE: Final = "Until it can be used, each limit does what its `onStoreFailure` says."


class LimitStoreReadyReason(Reason):
    """Reasons of LimitStoreReady: do the replicas of the gateways count the limits together?

    Only MCPPolicies with limits have the condition, where a gateway's settings name a `limitStore`. It is not part of
    Ready.
    """

    READY = (StoreState.READY, "All replicas count in the store of the gateway's settings.", NOTHING)
    CONNECTING = (StoreState.CONNECTING, "A replica has not reached the store yet.", WAIT)
    TIMEOUT = (
        StoreState.TIMEOUT,
        f"The store does not answer in time. {_MEANWHILE}",
        "Check the store's load, or raise `limitStore.timeout` in the gateway's settings.",
    )
    UNREACHABLE = (
        StoreState.UNREACHABLE,
        f"No connection to the store can be opened, or it closes them. {_MEANWHILE}",
        (
            "Check that the store runs, the addresses in `limitStore.redis`, and that NetworkPolicies permit the "
            "gateway to reach it."
        ),
    )
    CREDENTIALS_REFUSED = (
        StoreState.CREDENTIALS_REFUSED,
        f"The store refuses the user or the password, or requires them. {_MEANWHILE}",
        "Correct the Secret that `limitStore.redis.credentialsRef` names, or name one.",
    )
    NOT_PERMITTED = (
        StoreState.NOT_PERMITTED,
        f"The store's user may not do what limits need. {_MEANWHILE}",
        "Give it the rights that docs/guides/limits.md lists.",
    )
    CERTIFICATE_REFUSED = (
        StoreState.CERTIFICATE_REFUSED,
        f"The store's certificate is not valid for its name, or not of the given authorities. {_MEANWHILE}",
        "Correct `limitStore.redis.tls`, or the certificate.",
    )
    READ_ONLY = (
        StoreState.READ_ONLY,
        f"The store accepts no writes: it is a replica, or cannot save. {_MEANWHILE}",
        "Name the primary, or correct the store's storage.",
    )
    FULL = (
        StoreState.FULL,
        f"The store has no memory left. {_MEANWHILE}",
        "Raise its `maxmemory`. Counters expire by themselves; never let them be evicted.",
    )
    NO_PRIMARY = (
        StoreState.NO_PRIMARY,
        f"There is no primary: the Sentinels name none, or a part of the Cluster has none. {_MEANWHILE}",
        "Check `limitStore.redis.masterName`, the Sentinels, or the nodes of the Cluster.",
    )
    FAILED = (
        StoreState.FAILED,
        f"The store answers something else than a Redis or Valkey of a supported version. {_MEANWHILE}",
        "Check the addresses and `mode` in `limitStore.redis`.",
    )
    REFERENCES_MISSING = (
        StoreState.REFERENCES_MISSING,
        f"The gateway's settings name a Secret or a CA bundle that cannot be used. {_MEANWHILE}",
        "Create it in the gateway's namespace with the label `ostiary.dev/usage`; the operator's log names it.",
    )
    CREDENTIAL_MISSING = (
        StoreState.CREDENTIAL_MISSING,
        f"The gateway's Secret does not have the store's credentials yet. {_MEANWHILE}",
        WAIT,
    )
