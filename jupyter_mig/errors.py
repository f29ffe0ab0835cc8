"""Every error of jupyter_mig, in one tree.

::

    JupyterMigError
    ├── BadRequest                  the request itself is wrong
    │   ├── UnknownSize             no GPU on this node has that size
    │   ├── UnknownUser             nobody on this node is called so
    │   ├── MalformedSpec           a kernelspec or setting cannot be read
    │   └── UnknownDriver           JUPYTER_MIG_DRIVER names no driver
    ├── Refused                     the request is fine, the answer is no
    │   ├── NoRoom                  every place of that size is taken
    │   ├── NotAllowed              a rule of this node does not allow it at all
    │   ├── OverQuota               you hold as much as a rule of this node allows
    │   ├── TooMany                 so many connections or requests of one user are too many
    │   ├── OutOfPatience           waited as long as it was told to
    │   ├── Cancelled               somebody took the request back
    │   ├── UnknownLease            no such lease, or not yours
    │   ├── LeaseEnded              the lease was yours and is over
    │   └── NotTheHolder            the process is not one this lease may be tied to
    ├── DriverError                 NVML said no
    │   ├── NoDriver                no NVIDIA driver, or it does not answer
    │   ├── NotSupported            no MIG on this GPU, or MIG mode is off
    │   ├── NoPermission            needs root or the mig/config capability
    │   ├── InUse                   somebody still uses the instance
    │   ├── InsufficientResources   no capacity, or the place is occupied
    │   ├── NotFound                the instance or GPU is not there (any more)
    │   ├── GpuLost                 the GPU fell off the bus or needs a reset
    │   └── InvalidArgument         NVML refused an argument
    ├── BrokerError                 the broker cannot be used
    │   ├── BrokerUnreachable       nobody answers
    │   ├── BrokerStartFailed       it could not be started
    │   ├── ForeignBroker           it runs as another user, or with another driver
    │   ├── ClaimedElsewhere        Slurm, Kubernetes or mig-manager has its GPUs
    │   ├── Unauthenticated         its TCP door was shown no token that opens it
    │   ├── HubUnreachable          it cannot ask JupyterHub whose token it is
    │   └── BadPlace                its directory or socket path is unusable
    └── LogError                    the event log cannot be used
        ├── CorruptLog              it does not read back
        └── UnwritableLog           the disk is full or read-only

Each error says what happened in one line (``message``), what is free or allowed now
(``situation``), and what to do (``next_step``). ``str(error)`` is these lines, joined by
newlines: plain ASCII, no ``%`` (Tornado doubles it), no quotes (a failed "Change Kernel"
shows the ``repr``), the first line at most 80 characters where we control its parts.
"""

from __future__ import annotations

from typing import ClassVar


class JupyterMigError(Exception):
    """The root. ``kind`` names the error on the wire, ``status`` is the HTTP status it maps to."""

    kind: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, situation: str = "", next_step: str = "") -> None:
        self.message = message
        self.situation = situation
        self.next_step = next_step
        super().__init__(message)

    def __str__(self) -> str:
        return "\n".join(line for line in (self.message, self.situation, self.next_step) if line)


class BadRequest(JupyterMigError):
    """The request is wrong in itself; asking again unchanged cannot help."""

    kind, status = "bad-request", 400


class UnknownSize(BadRequest):
    """No GPU on this node offers the size."""

    kind, status = "unknown-size", 404


class UnknownUser(BadRequest):
    """Nobody on this node is called so."""

    kind, status = "unknown-user", 404


class MalformedSpec(BadRequest):
    """A kernelspec's metadata, or a setting, cannot be understood."""

    kind = "malformed-spec"


class UnknownDriver(BadRequest):
    """``JUPYTER_MIG_DRIVER`` is neither ``nvml`` nor a ``simulated:`` node we know."""

    kind = "unknown-driver"


class Refused(JupyterMigError):
    """The request is understood and the answer is no."""

    kind, status = "refused", 409


class NoRoom(Refused):
    """Every place of that size is taken and the request has no patience."""

    kind, status = "no-room", 503


class NotAllowed(Refused):
    """A rule of this node's administrator allows you no such slice; waiting cannot help."""

    kind, status = "not-allowed", 403


class OverQuota(Refused):
    """You hold as much as a rule of this node's administrator allows."""

    kind, status = "over-quota", 409


class TooMany(Refused):
    """One user has more connections or requests at the broker than others' share allows."""

    kind, status = "too-many", 429


class OutOfPatience(Refused):
    """The request waited as long as it was willing to."""

    kind, status = "out-of-patience", 503


class Cancelled(Refused):
    """The request was taken back before it was granted."""

    kind, status = "cancelled", 410


class UnknownLease(Refused):
    """There is no such lease, or it is somebody else's: the two look the same on purpose."""

    kind, status = "unknown-lease", 404


class LeaseEnded(Refused):
    """The lease was yours and is over."""

    kind, status = "lease-ended", 410


class NotTheHolder(Refused):
    """The process named cannot be tied to the lease (other user, not a descendant, gone)."""

    kind, status = "not-the-holder", 403


class DriverError(JupyterMigError):
    """NVML answered with an error. ``code`` is NVML's own number, ``call`` the function's name.

    ``left_there`` is set where an instance was made, perhaps by half, and could not be undone.
    """

    kind, status = "driver-error", 502

    def __init__(
        self,
        message: str,
        *,
        situation: str = "",
        next_step: str = "",
        code: int = 999,
        call: str = "",
    ) -> None:
        super().__init__(message, situation=situation, next_step=next_step)
        self.code = code
        self.call = call
        self.left_there = False


class NoDriver(DriverError):
    """No NVIDIA driver is loaded, or its library is missing or does not match."""

    kind, status = "no-driver", 503


class NotSupported(DriverError):
    """The GPU has no MIG, or MIG mode is off."""

    kind, status = "not-supported", 409


class NoPermission(DriverError):
    """Creating, destroying and listing instances needs root or the ``mig/config`` capability."""

    kind, status = "no-permission", 403


class InUse(DriverError):
    """Somebody still uses the instance; often gone after a moment."""

    kind, status = "in-use", 409


class InsufficientResources(DriverError):
    """No capacity is left, or the placement is occupied: NVML does not tell these two apart."""

    kind, status = "insufficient-resources", 409


class NotFound(DriverError):
    """The instance, device or handle is not there (any more)."""

    kind, status = "not-found", 404


class GpuLost(DriverError):
    """The GPU fell off the bus or requires a reset."""

    kind = "gpu-lost"


class InvalidArgument(DriverError):
    """NVML refused an argument, as it also does for an impossible placement."""

    kind = "invalid-argument"


class BrokerError(JupyterMigError):
    """The broker that owns this node's slices cannot be used."""

    kind, status = "broker-error", 503


class BrokerUnreachable(BrokerError):
    """Nobody answers on the broker's socket."""

    kind = "broker-unreachable"


class BrokerStartFailed(BrokerError):
    """The broker process ended before it answered."""

    kind = "broker-start-failed"


class ForeignBroker(BrokerError):
    """The socket belongs to another user's broker, or to one with another driver."""

    kind, status = "foreign-broker", 403


class ClaimedElsewhere(BrokerError):
    """GPUs that the broker was to have are managed by somebody else; it does not start."""

    kind = "claimed-elsewhere"


class Unauthenticated(BrokerError):
    """The broker's TCP door was shown no token of a JupyterHub that opens it."""

    kind, status = "unauthenticated", 401


class HubUnreachable(BrokerError):
    """The broker cannot ask JupyterHub whose token it was shown."""

    kind = "hub-unreachable"


class BadPlace(BrokerError):
    """The broker's directory or socket path is unusable (owner, mode, length)."""

    kind = "bad-place"


class LogError(JupyterMigError):
    """The broker's event log cannot be used."""

    kind, status = "log-error", 507


class CorruptLog(LogError):
    """The log does not read back; it is set aside, never overwritten."""

    kind = "corrupt-log"


class UnwritableLog(LogError):
    """The log cannot be written (disk full, read-only); nothing is granted that is not logged."""

    kind = "unwritable-log"


def family(root: type[JupyterMigError] = JupyterMigError) -> list[type[JupyterMigError]]:
    """``root`` and every class below it, parents first."""
    return [root, *(member for child in root.__subclasses__() for member in family(child))]


def rebuild(kind: str, message: str, situation: str = "", next_step: str = "") -> JupyterMigError:
    """The error that travelled over the wire as these words.

    A kind from a newer version than ours becomes a plain :class:`JupyterMigError`.
    """
    known = {member.kind: member for member in family()}
    return known.get(kind, JupyterMigError)(message, situation=situation, next_step=next_step)
