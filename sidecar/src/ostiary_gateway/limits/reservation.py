"""What one request has reserved of the limits of its process: a place, and bytes."""

from ostiary_gateway.limits.counters import SMALL_BYTES, Bound, Counters, LimitReachedError


class Reservation:
    """One request as its limits see it.

    It is counted as a request, as a stream, or as an upload, with its bytes.

    ``counters`` are those of its source, its proxy, its principal and of the whole process; empty before the request is
    admitted and after it has been released. ``is_uploading`` while its body is still arriving.
    ``bytes`` are what its messages take now, of which ``tree_bytes`` are for what a large body was parsed to.
    """

    __slots__ = ("bytes", "client_address", "counters", "is_stream", "is_uploading", "tree_bytes")

    def __init__(self) -> None:
        self.counters: tuple[Counters, ...] = ()
        self.is_stream = False
        self.is_uploading = False
        self.bytes = 0
        self.tree_bytes = 0
        #: The address of the client, or of the client behind a trusted proxy.
        self.client_address = ""

    def count_request(self) -> None:
        """Count it as a request.

        Raises:
            LimitReachedError: one of its counters is at its limit; none was changed.
        """
        counters = self.counters
        for each in counters:
            if each.requests >= each.limits.requests and not each.limits.extends(each, Bound.REQUESTS, 1):
                raise LimitReachedError(each.limits, Bound.REQUESTS)
        for each in counters:
            each.requests += 1

    def count_stream(self) -> None:
        """Count it as a stream.

        Raises:
            LimitReachedError: one of its counters is at its limit; none was changed.
        """
        counters = self.counters
        for each in counters:
            if each.streams >= each.limits.streams and not each.limits.extends(each, Bound.STREAMS, 1):
                raise LimitReachedError(each.limits, Bound.STREAMS)
        for each in counters:
            each.streams += 1
        self.is_stream = True

    def count_upload(self) -> None:
        """Count it as a request whose body is still arriving.

        It takes bytes, and no place of a request yet.
        """
        self.is_uploading = True
        for each in self.counters:
            each.uploads += 1

    def finish_upload(self) -> None:
        """Count it as a request from now on, since its body is complete.

        Raises:
            LimitReachedError: one of its counters is at its limit; none was changed.
        """
        if not self.is_uploading:
            return
        self.count_request()
        self.is_uploading = False
        for each in self.counters:
            each.uploads -= 1

    def become_stream(self) -> None:
        """Count it as a stream in place of a request.

        Raises:
            LimitReachedError: one of its counters is at its limit; none was changed.
        """
        self.count_stream()
        for each in self.counters:
            each.requests -= 1

    def add_bytes(self, size: int) -> None:
        """Count more bytes of its messages, or fewer with a negative size.

        A message that is alone always finds room.

        Raises:
            LimitReachedError: other requests take the rest; none was changed.
        """
        counters, before = self.counters, self.bytes
        if size > 0:
            is_small = before + size <= SMALL_BYTES
            for each in counters:
                limits = each.limits
                is_over = each.bytes + size > (limits.bytes if is_small else limits.large) and each.bytes > before
                if is_over and not limits.extends(each, Bound.BYTES, size, is_large=not is_small):
                    raise LimitReachedError(limits, Bound.BYTES)
        for each in counters:
            each.bytes += size
        self.bytes = before + size
