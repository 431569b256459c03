//! The options of a link's socket, as a table, and setting them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use knet_fd::BufferReport;
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{BindError, MarkError, QosMarking, SocketOptions};

/// An option with an integer value.
#[derive(Clone, Copy)]
pub(crate) struct IntOption {
    name: &'static str,
    pub(crate) level: libc::c_int,
    pub(crate) number: libc::c_int,
    pub(crate) value: libc::c_int,
}

macro_rules! option {
    ($level:ident, $name:ident, $value:expr) => {
        IntOption {
            name: stringify!($name),
            level: libc::$level,
            number: libc::$name,
            value: $value,
        }
    };
}

/// The options that every IPv4 link requires: nothing is fragmented, the kernel's own path MTU is ignored,
/// and errors are queued.
const IPV4: &[IntOption] = &[
    option!(IPPROTO_IP, IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
    option!(IPPROTO_IP, IP_RECVERR, 1),
];

/// The same for IPv6, which also excludes IPv4.
const IPV6: &[IntOption] = &[
    option!(IPPROTO_IPV6, IPV6_V6ONLY, 1),
    option!(IPPROTO_IPV6, IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    option!(IPPROTO_IPV6, IPV6_DONTFRAG, 1),
    option!(IPPROTO_IPV6, IPV6_RECVERR, 1),
];

/// For a socket with an address of its own: the address may appear later.
const ONE_ADDRESS: IntOption = option!(IPPROTO_IP, IP_FREEBIND, 1);

/// For a socket that is bound to all addresses: each datagram is received with the one that it was sent to.
///
/// Without [`ONE_ADDRESS`], so that the kernel refuses to send from an address that the machine does not
/// have any longer.
const ALL_IPV4: IntOption = option!(IPPROTO_IP, IP_PKTINFO, 1);
const ALL_IPV6: IntOption = option!(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);

/// Available since Linux 5.0.
const GRO: IntOption = option!(SOL_UDP, UDP_GRO, 1);

/// The highest priority that needs no privilege, `TC_PRIO_INTERACTIVE`.
const PRIORITY: libc::c_int = 6;

/// A socket that is set up and bound, with what the kernel granted.
pub(crate) struct BoundSocket {
    pub(crate) socket: Socket,
    pub(crate) buffers: BufferReport,
    /// Why GRO is not available, if it was requested.
    pub(crate) gro_error: Option<io::Error>,
}

/// Creates a socket, sets it up as `options` specify, and binds it to `address`.
pub(crate) fn bound_socket(
    address: SocketAddr,
    options: &SocketOptions,
) -> Result<BoundSocket, BindError> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::UDP))
        .map_err(|source| BindError::Create { address, source })?;
    let refused = |option, source| BindError::Option { address, option, source };

    let buffers = knet_fd::set_buffer_sizes(&socket, options.buffer_size)
        .map_err(|error| refused("SO_RCVBUF", io::Error::from_raw_os_error(error.errno())))?;
    let (required, all) = if address.is_ipv4() { (IPV4, ALL_IPV4) } else { (IPV6, ALL_IPV6) };
    let addresses = if address.ip().is_unspecified() { all } else { ONE_ADDRESS };
    let required = required.iter().copied().chain([addresses]);
    for option in required.chain(marks(address, options.marking)) {
        set_option(socket.as_fd(), option).map_err(|errno| refused(option.name, errno.into()))?;
    }
    let gro = if options.gro { set_option(socket.as_fd(), GRO) } else { Ok(()) };
    socket.bind(&address.into()).map_err(|source| BindError::from_bind(address, source))?;
    Ok(BoundSocket { socket, buffers, gro_error: gro.err().map(io::Error::from) })
}

/// Sets the marking of later packets of a socket that is bound to `address`.
pub(crate) fn mark(
    socket: BorrowedFd<'_>,
    address: SocketAddr,
    marking: QosMarking,
) -> Result<(), MarkError> {
    for option in marks(address, marking) {
        set_option(socket, option).map_err(|errno| MarkError {
            address,
            option: option.name,
            source: errno.into(),
        })?;
    }
    Ok(())
}

/// Returns the options for a marking, including those that reset to the default: first the traffic class,
/// then the priority. The family is that of `address`.
pub(crate) fn marks(address: SocketAddr, marking: QosMarking) -> [IntOption; 2] {
    let class = marking.traffic_class().into();
    let class = match address {
        SocketAddr::V4(_) => option!(IPPROTO_IP, IP_TOS, class),
        SocketAddr::V6(_) => option!(IPPROTO_IPV6, IPV6_TCLASS, class),
    };
    let priority = if marking.priority { PRIORITY } else { 0 };
    // Comes second, because IP_TOS also sets the priority.
    [class, option!(SOL_SOCKET, SO_PRIORITY, priority)]
}

/// Sets one option. nix and socket2 have no safe API for the path MTU options. The others are set in the
/// same way so that there is one table.
#[allow(unsafe_code)]
fn set_option(socket: BorrowedFd<'_>, option: IntOption) -> Result<(), Errno> {
    let value = &raw const option.value;
    let len = size_of_val(&option.value) as libc::socklen_t;
    // SAFETY: `value` points to a live local integer of `len` bytes, which the kernel reads and does not
    // keep. `socket` is borrowed, so it is open.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), option.level, option.number, value.cast(), len)
    };
    Errno::result(result).map(drop)
}
