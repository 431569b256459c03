//! Errors of binding a socket.

use std::io;
use std::net::SocketAddr;

/// The error of [`UdpSocket::bind`](crate::UdpSocket::bind), by the step that failed.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{BindError, SocketOptions, UdpSocket};
///
/// let options = SocketOptions::default();
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options)?;
/// let error = UdpSocket::bind(socket.local_addr(), &options).unwrap_err();
/// assert!(matches!(error, BindError::AddressInUse { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The kernel refused to create a socket: it does not support the address family
    /// (`EAFNOSUPPORT`), or too many files are open (`EMFILE`, `ENFILE`).
    #[error(
        "cannot create a UDP socket for {address}, raise the limit of open files if it is reached"
    )]
    Create {
        /// The local address of the call.
        address: SocketAddr,
        /// The error of the kernel.
        source: io::Error,
    },

    /// The kernel refused an option that links require, or that was requested.
    #[error(
        "cannot set {option} on the UDP socket for {address}, check the kernel and the privileges"
    )]
    Option {
        /// The local address of the call.
        address: SocketAddr,
        /// The name of the option in the manual page.
        option: &'static str,
        /// The error of the kernel.
        source: io::Error,
    },

    /// Another socket is bound to the port (`EADDRINUSE`).
    #[error("{address} is in use by another socket, choose another port or close the other socket")]
    AddressInUse {
        /// The local address of the call.
        address: SocketAddr,
    },

    /// The address cannot be bound for another reason: a port below 1024 without the privilege for it
    /// (`EACCES`), or a link-local IPv6 address without a scope (`EINVAL`).
    #[error(
        "cannot bind a UDP socket to {address}, check its scope, and the privilege for a port below 1024"
    )]
    Bind {
        /// The local address of the call.
        address: SocketAddr,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl BindError {
    /// Returns the error number of the operating system, which is also the errno of libknet.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::AddressInUse { .. } => libc::EADDRINUSE,
            Self::Create { source, .. }
            | Self::Option { source, .. }
            | Self::Bind { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        }
    }

    /// Classifies an error of `bind(2)`.
    pub(crate) fn from_bind(address: SocketAddr, source: io::Error) -> BindError {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::AddressInUse { address },
            _ => Self::Bind { address, source },
        }
    }
}
