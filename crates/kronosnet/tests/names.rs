//! What the facade returns can be kept in a field and passed on: each type has a name in it.

use std::os::fd::BorrowedFd;

use kronosnet::crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, TryRecvError};
use kronosnet::{
    AccessMode, AccessModeError, EventStream, FdKind, KindError, LinkEvent, LinkStatus,
    Notification, OsError, PairType, SocketId, SocketType,
};

/// The types of other crates that appear in signatures of the facade but in no list of its own.
type Socket = fn(&LinkStatus) -> Option<SocketId>;
type Kind = fn(BorrowedFd<'_>) -> Result<FdKind, KindError>;
type Access = fn(BorrowedFd<'_>) -> Result<AccessMode, AccessModeError>;
type Pair = fn(PairType) -> SocketType;
type Source = fn(AccessModeError) -> OsError;
type Next = fn(&EventStream<LinkEvent>) -> Result<Notification<LinkEvent>, RecvError>;
type Try = fn(&EventStream<LinkEvent>) -> Result<Notification<LinkEvent>, TryRecvError>;
type Ready = fn(&EventStream<LinkEvent>) -> &Receiver<()>;

#[test]
fn the_types_in_signatures_have_names() {
    let _socket: Socket = |status| status.socket;
    let _kind: Kind = |fd| FdKind::of(fd);
    let _access: Access = |fd| AccessMode::of(fd);
    let _pair: Pair = SocketType::from;
    let _source: Source = |error| error.source;
    let _next: Next = EventStream::recv;
    let _try: Try = EventStream::try_recv;
    let _ready: Ready = EventStream::ready;
    let _timeout: Option<RecvTimeoutError> = None;
}
