//! Why a socket could not be set up.

use std::io;
use std::net::SocketAddr;

/// Why [`UdpSocket::bind`](crate::UdpSocket::bind) failed, and at which step. Nothing stays open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// There is no socket to be had: the system does not do this address family (`EAFNOSUPPORT`), or
    /// too many files are open (`EMFILE`, `ENFILE`).
    #[error("cannot create a UDP socket for {address}")]
    Create {
        /// The address that was to be bound.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },

    /// The kernel refused an option that links can't do without, or one that was asked for.
    #[error("cannot set {option} on the UDP socket for {address}")]
    Option {
        /// The address that was to be bound.
        address: SocketAddr,
        /// The name of the option, as in the manual page.
        option: &'static str,
        /// What the kernel said.
        source: io::Error,
    },

    /// Another socket has the port (`EADDRINUSE`).
    #[error("{address} is in use by another socket, choose another port or close the other socket")]
    AddressInUse {
        /// The address that was to be bound.
        address: SocketAddr,
    },

    /// The address can't be bound for another reason: a port below 1024 without the right to it
    /// (`EACCES`), or a link-local IPv6 address without a scope (`EINVAL`).
    #[error("cannot bind a UDP socket to {address}")]
    Bind {
        /// The address that was to be bound.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    /// Returns the error number of the operating system, the errno that libknet passes on.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::AddressInUse { .. } => libc::EADDRINUSE,
            Self::Create { source, .. }
            | Self::Option { source, .. }
            | Self::Bind { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        }
    }

    /// Sorts what `bind(2)` said.
    pub(crate) fn from_bind(address: SocketAddr, source: io::Error) -> BindError {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::AddressInUse { address },
            _ => Self::Bind { address, source },
        }
    }
}
